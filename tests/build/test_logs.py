"""Log files of derivations."""

from pathlib import Path

import pytest

from fc.base.errors import NotFoundError
from fc.build.logs import LogFile, log_file, log_path_of

DRV = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-hello-1.0.drv"


def test_logs_are_spread_over_directories_below_the_data_directory() -> None:
    assert log_path_of(DRV) == "logs/lj/dzr8f3z97qi6zbxhngmavcbsh7pr30-hello-1.0.drv.log"


def test_own_lines_are_marked_and_begin_on_a_line_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "lj" / "x.log"
    with LogFile(file, 1000) as log:
        log.note("building\nit")
        log.write(b"half a line")
        log.note("done")
    lines = file.read_text().splitlines()
    assert [line.split(" ", 2)[::2] for line in lines] == [
        ["[fc]", "building it"],
        ["half", "line"],
        ["[fc]", "done"],
    ]


def test_a_later_attempt_goes_on_after_the_earlier_one(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    with LogFile(file, 1000) as log:
        log.write(b"one")
    with LogFile(file, 1000) as log:
        log.note("again")
        log.write(b"two\n")
    with LogFile(file, 1000) as log:
        log.write(b"three\n")
    lines = file.read_text().splitlines()
    assert (lines[0], lines[2], lines[3]) == ("one", "two", "three")


def test_what_is_beyond_the_limit_is_dropped_but_own_lines_are_not(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    with LogFile(file, 5) as log:
        overflowed = []
        for piece in (b"123", b"4567", b"89"):
            log.write(piece)
            overflowed.append(log.overflowed)
        log.note("too much")
    assert overflowed == [False, True, True]
    assert file.read_text().startswith("12345\n[fc] ")


def test_only_files_below_the_directory_of_logs_are_shown(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.log").write_text("x")
    (tmp_path / "secret").write_text("s")
    (tmp_path / "logs" / "link").symlink_to(tmp_path / "secret")
    assert log_file(tmp_path, "logs/x.log") == (tmp_path / "logs" / "x.log").resolve()
    for path in ("logs/../secret", "secret", str(tmp_path / "secret"), "logs/link", "logs", "logs/none", ""):
        with pytest.raises(NotFoundError):
            log_file(tmp_path, path)
