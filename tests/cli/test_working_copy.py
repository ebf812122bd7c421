"""Files are replaced together: killed at any moment, on a full disk, and against links, races and false journals."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import msgspec
import pytest

from fc.base.errors import ConflictError, InvalidInputError
from fc.base.settings import SecretsSettings, Settings
from fc.cli.configuration_into import bring, show_edits
from fc.cli.unified_diff import unified_diff
from fc.cli.working_copy import JOURNAL, Edit, WorkingCopy
from fc.config.compile import compile_fragments
from fc.config.export import EncryptedError, Stored
from fc.config.load import read_fragment
from fc.config.outside import Surroundings
from tests.config.test_encrypted import IDENTITY, encrypted
from tests.support.configuration import compiled, project, write

CHILD = """
import os, resource, signal, sys
from pathlib import Path
from fc.cli.working_copy import Edit, WorkingCopy

directory, point, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
reached = 0

def counted(call):
    def run(*arguments, **named):
        global reached
        reached += 1
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)
    return run

for name in ("open", "replace", "unlink", "fsync", "mkdir", "fchmod"):
    setattr(os, name, counted(getattr(os, name)))
WorkingCopy(directory).write(eval(sys.argv[4]))
"""
BEFORE = {"a.yaml": "old a\n", "teams/b.yaml": "old b\n", "gone.yaml": "old\n"}
AFTER = {"a.yaml": "new a\n", "teams/b.yaml": "new b\n", "deep/er/c.yaml": "new c\n"}
EDITS = [
    Edit(
        path,
        (BEFORE[path].encode() if path in BEFORE else None),
        (AFTER[path].encode() if path in AFTER else None),
    )
    for path in sorted(BEFORE.keys() | AFTER.keys())
]


def run_child(directory: Path, point: int = 0, limit: int = 0) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(directory), str(point), str(limit), repr(EDITS)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )


def contents(directory: Path, *, hidden: bool = False) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): path.read_text()
        for path in directory.rglob("*")
        if path.is_file() and (hidden or not path.name.startswith("."))
    }


def _begun(copy: WorkingCopy) -> bool:
    return copy.interrupted


def test_kill_9_at_any_moment_leaves_each_file_whole_and_the_next_run_finishes(tmp_path: Path) -> None:
    finished = 0
    for point in count(1):
        directory = write(tmp_path / str(point), BEFORE)
        if run_child(directory, point).returncode == 0:
            break
        for path, text in contents(directory).items():
            assert text in {BEFORE.get(path), AFTER.get(path)}
        copy = WorkingCopy(directory)
        with copy.locked():
            begun = copy.interrupted
            if begun:
                assert copy.finish() == [one.path for one in EDITS]
                assert contents(directory, hidden=True) == AFTER
                finished += 1
            else:
                # Either nothing was replaced yet, or everything is.
                now = contents(directory)
                assert now in (BEFORE, AFTER)
                copy.write([one for one in EDITS if now == BEFORE])
            assert contents(directory, hidden=True) == AFTER
    assert finished >= 10


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    directory = write(tmp_path / "c", BEFORE)
    result = run_child(directory, limit=3)
    assert "File too large; nothing was written" in result.stderr
    assert contents(directory, hidden=True) == BEFORE


def test_a_directory_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    directory = write(tmp_path / "c", {**BEFORE, "deep": "a file, where a directory would have to be"})
    with pytest.raises(ConflictError, match=r"Not a directory .*; nothing was written"):
        WorkingCopy(directory).write(EDITS)
    assert contents(directory, hidden=True).keys() == {*BEFORE, "deep"}


def test_what_was_changed_since_an_interruption_is_kept(tmp_path: Path) -> None:
    for point in count(1):
        directory = write(tmp_path / str(point), BEFORE)
        if run_child(directory, point).returncode == 0:
            break
        copy = WorkingCopy(directory)
        if not _begun(copy):
            continue
        mine = write(directory, {"a.yaml": "mine\n"}) / "a.yaml"
        assert copy.finish() == []
        assert not _begun(copy)
        assert mine.read_text() == "mine\n"
        assert [one for one in contents(directory, hidden=True) if "/." in one or one.startswith(".")] == []


def test_what_somebody_changed_meanwhile_is_not_written(tmp_path: Path) -> None:
    copy = WorkingCopy(write(tmp_path / "c", {"a.yaml": "x"}))
    for before in (b"y", None):
        with pytest.raises(ConflictError, match=r"a.yaml was changed by somebody else meanwhile"):
            copy.write([Edit("new.yaml", None, b"new"), Edit("a.yaml", before, b"z")])
    assert contents(copy.root, hidden=True) == {"a.yaml": "x"}


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    other = WorkingCopy(tmp_path).locked()
    with WorkingCopy(tmp_path).locked(), pytest.raises(ConflictError, match="another fcctl export edits"):
        other.__enter__()
    with WorkingCopy(tmp_path).locked():
        pass


def test_no_link_is_followed_on_the_way(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"a.yaml": "theirs"})
    copy = WorkingCopy(write(tmp_path / "c", {"real.yaml": "x", ".git/config": "x"}))
    (copy.root / "out").symlink_to(outside)
    (copy.root / "b.yaml").symlink_to(outside / "a.yaml")
    (copy.root / "in.yaml").symlink_to("real.yaml")
    (copy.root / "git.yaml").symlink_to(".git/config")
    assert copy.place("in.yaml") == "real.yaml"
    for name in ("out/a.yaml", "b.yaml", "git.yaml", "../c2/x.yaml"):
        with pytest.raises(InvalidInputError, match="no place below"):
            copy.place(name)
    # A link that is put there after the path was looked at.
    with pytest.raises(ConflictError, match="nothing was written"):
        copy.write([Edit("out/a.yaml", b"theirs", b"ours")])
    with pytest.raises((ConflictError, OSError)):
        copy.write([Edit("b.yaml", b"theirs", b"ours")])
    assert contents(outside, hidden=True) == {"a.yaml": "theirs"}
    with pytest.raises(InvalidInputError, match="no such directory"):
        WorkingCopy(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "journal",
    [
        "",
        "{}",
        '[{"path": "../x.yaml", "before": null, "after": null}]',
        '[{"path": "/etc/x.yaml", "before": null, "after": null}]',
        '[{"path": ".git/config", "before": null, "after": null}]',
        '[{"path": "", "before": null, "after": null}]',
        '[{"path": "a\\u0000", "before": null, "after": null}]',
    ],
)
def test_a_journal_that_nobody_wrote_here_does_nothing(tmp_path: Path, journal: str) -> None:
    copy = WorkingCopy(write(tmp_path / "c", {JOURNAL: journal, ".git/config": "x"}))
    with pytest.raises(ConflictError, match="was not written by fcctl"):
        copy.finish()
    assert contents(copy.root, hidden=True) == {JOURNAL: journal, ".git/config": "x"}
    (copy.root / JOURNAL).unlink()
    (copy.root / JOURNAL).symlink_to("/etc/passwd")
    with pytest.raises(ConflictError, match="was not written by fcctl"):
        copy.finish()


async def test_an_export_that_was_interrupted_where_half_of_it_is_wrong_is_finished(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"a.yaml": project("p"), "b.yaml": "# people\n"}
    wanted = {
        "a.yaml": project("p") + "    members: {bob: admin}\n",
        "b.yaml": "users: {bob: {email: b@example.org}}",
    }
    stored = [
        Stored(one.kind, one.key, one.fields, one.file, one.line)
        for one in compiled(wanted).resources.values()
    ]
    copy = write(tmp_path / "copy", files)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    replace = os.replace
    with monkeypatch.context() as broken:
        calls = iter((replace, replace, die))

        def counted(old: str, new: str, **directories: int) -> None:
            next(calls)(old, new, **directories)

        broken.setattr(os, "replace", counted)
        with pytest.raises(KeyboardInterrupt):
            await bring(copy, stored, settings)
    # A member who is not there yet: no configuration that could be read.
    assert "bob" in (copy / "a.yaml").read_text()
    assert (copy / "b.yaml").read_text() == "# people\n"
    with pytest.raises(ConflictError, match="interrupted; run it again without --dry-run"):
        show_edits(copy, stored, settings)
    await bring(copy, stored, settings)
    assert "finished what was interrupted (a.yaml, b.yaml)" in capsys.readouterr().err
    assert contents(copy, hidden=True)["b.yaml"] == "# people\nusers:\n  bob:\n    email: b@example.org\n"
    assert compiled(contents(copy, hidden=True)).problems == ()


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.yaml", "x\ny\n", "x\nz\n"),
        ("a.yaml", "\ufeffx\r\ny\r\nlast", "\ufeffx\r\nz\r\nlast"),
        ("a.yaml", "x\nlast", "x\nlast\nmore"),
        ("a.yaml", "form\x85\u2028 feed\n", "form\x85\u2028 fed\n"),
        ("new/a b.yaml", None, "x\n"),
        ("gone's.yaml", "x\ny", None),
        ('wei"rd\\.yaml', "x\n", "y\n"),
        ("größe.yaml", "x\n", "y\n"),
    ],
)
def test_git_applies_the_diff(tmp_path: Path, path: str, before: str | None, after: str | None) -> None:
    old, new = (None if text is None else text.encode() for text in (before, after))
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if old is not None:
        file.write_bytes(old)
    diff = unified_diff(path, old, new).encode()
    subprocess.run(["git", "apply", "--whitespace=nowarn"], input=diff, cwd=tmp_path, check=True)
    assert (file.read_bytes() if file.exists() else None) == new


async def test_what_stands_encrypted_stays_and_is_never_written_in_clear(
    tmp_path: Path, settings: Settings
) -> None:
    identities = tmp_path / "identities"
    identities.write_text(f"{IDENTITY}\n", encoding="ascii")
    known = msgspec.structs.replace(settings, secrets=SecretsSettings(age_identities=identities))
    text = (
        "projects:\n  p: &p\n    repository_url: /srv/p\n    webhooks:\n      github:   # ours\n"
        f"        secret: {encrypted()}  q: {{<<: *p, description: old}}   # as p\n"
    )
    copy = write(tmp_path / "copy", {"fc.yaml": text})
    surroundings = Surroundings.of(known)
    made = compile_fragments([read_fragment("fc.yaml", "", text.encode(), surroundings)])
    assert made.problems == ()
    stored = [Stored(one.kind, one.key, one.fields, one.file, one.line) for one in made.resources.values()]
    stored = [
        one._replace(fields={**one.fields, "description": "new"}) if one.key == "q" else one for one in stored
    ]
    await bring(copy, stored, known)
    assert (copy / "fc.yaml").read_text() == text.replace("description: old", "description: new")
    rotated = [
        one._replace(fields={**one.fields, "secret": {"encrypted": "other"}})
        if one.kind == "webhook"
        else one
        for one in stored
    ]
    with pytest.raises(EncryptedError, match="stands encrypted in git"):
        await bring(copy, rotated, known)
    assert (copy / "fc.yaml").read_text() == text.replace("description: old", "description: new")
