"""Files that grow, watched by the kernel."""

import asyncio
import ctypes
from pathlib import Path

import pytest

from fc.web.file_watch import FileWatch


async def test_whoever_waits_is_told_that_a_file_was_written_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    watch = FileWatch()
    first, second, other = asyncio.Event(), asyncio.Event(), asyncio.Event()
    (tmp_path / "other").touch()
    with (
        watch.watch(path, first) as watched,
        watch.watch(path, second),
        watch.watch(tmp_path / "other", other),
    ):
        assert watched
        path.write_text("more")
        await asyncio.wait_for(first.wait(), 60)
        await asyncio.wait_for(second.wait(), 60)
        assert not other.is_set()
    watch.close()


async def test_one_who_goes_does_not_take_the_watch_from_the_others(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    watch = FileWatch()
    gone, staying = asyncio.Event(), asyncio.Event()
    with watch.watch(path, staying):
        with watch.watch(path, gone):
            pass
        path.write_text("more")
        await asyncio.wait_for(staying.wait(), 60)
    assert not gone.is_set()
    assert watch._waiting == {}
    watch.close()


async def test_a_file_that_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    watch = FileWatch()
    with watch.watch(tmp_path / "none", asyncio.Event()) as watched:
        assert not watched
    watch.close()


async def test_without_the_kernel_s_help_nothing_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoInotify:
        def inotify_init1(self, _flags: int) -> int:
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_options: NoInotify())
    watch = FileWatch()
    with watch.watch(tmp_path, asyncio.Event()) as watched:
        assert not watched
    watch.close()
