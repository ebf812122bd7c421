"""Mirrors of real repositories: fetching, reading, and what must not happen."""

import asyncio
import os
import signal
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fc.base.errors import GitError, InvalidInputError
from fc.base.git import GitMirror
from tests.support.repository import Repository, commits_in


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "origin")
    made.commit(
        {"README": "hello\n", "src/main.c": "int main;\n"}, "First words", date="2026-01-02T03:04:05+00:00"
    )
    return made


@pytest.fixture
def mirror(tmp_path: Path, repository: Repository) -> GitMirror:
    return GitMirror(tmp_path / "git", repository.url)


async def test_a_branch_a_tag_and_head_are_asked_for_without_fetching(
    mirror: GitMirror, repository: Repository
) -> None:
    commit = repository.head()
    repository.git("tag", "--annotate", "--message", "One", "v1")
    assert await mirror.ls_remote("main") == commit
    assert await mirror.ls_remote("v1") == commit
    assert await mirror.ls_remote("HEAD") == commit
    assert await mirror.ls_remote("refs/heads/main") == commit
    assert await mirror.ls_remote("nothing") is None
    assert await mirror.default_branch() == "main"
    assert not mirror.path.exists()


async def test_a_ref_whose_name_only_ends_alike_is_not_taken(
    mirror: GitMirror, repository: Repository
) -> None:
    repository.git("update-ref", "refs/heads/x/refs/heads/wanted", "HEAD")
    assert await mirror.ls_remote("wanted") is None


async def test_a_branch_wins_over_a_tag_of_the_same_name(mirror: GitMirror, repository: Repository) -> None:
    repository.git("tag", "both")
    branch = repository.commit({"README": "more\n"})
    repository.git("branch", "both")
    assert await mirror.ls_remote("both") == branch
    assert await mirror.fetch("both") == branch


async def test_a_fetched_commit_is_read(mirror: GitMirror, repository: Repository) -> None:
    commit = await mirror.fetch("main")
    assert commit == repository.head()
    info = await mirror.commit_info(commit)
    assert info.author == "Ada Lovelace"
    assert info.subject == "First words"
    assert info.committed_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    entries = await mirror.tree(commit)
    assert [(entry.path, entry.mode, entry.size) for entry in entries] == [
        ("README", "100644", 6),
        ("src/main.c", "100644", 10),
    ]
    assert await mirror.blobs(entry.blob for entry in entries) == {
        entries[0].blob: b"hello\n",
        entries[1].blob: b"int main;\n",
    }


async def test_a_part_of_the_tree_is_listed_with_whole_paths(mirror: GitMirror) -> None:
    commit = await mirror.fetch("main")
    for path in ("src", "src/", "./src", "/src"):
        assert [entry.path for entry in await mirror.tree(commit, path)] == ["src/main.c"]
    with pytest.raises(GitError, match="nothing at 'absent'"):
        await mirror.tree(commit, "absent")


async def test_only_the_wanted_branch_is_fetched_and_without_history(
    mirror: GitMirror, repository: Repository
) -> None:
    old = repository.head()
    other = repository.commit({"other": "x"})
    repository.git("update-ref", "refs/pull/1/head", other)
    repository.git("reset", "--hard", "--quiet", old)
    newest = repository.commit({"README": "new\n"})
    await mirror.fetch("main")
    assert commits_in(mirror.path) == [newest]


async def test_a_commit_is_fetched_by_its_hash_even_when_the_branch_has_moved_on(
    mirror: GitMirror, repository: Repository
) -> None:
    old = repository.head()
    repository.commit({"README": "new\n"})
    assert await mirror.fetch(old) == old
    assert (await mirror.commit_info(old)).subject == "First words"


async def test_a_commit_that_is_here_is_not_asked_for_again(
    mirror: GitMirror, repository: Repository
) -> None:
    commit = await mirror.fetch("main")
    repository.path.rename(repository.path.with_name("gone"))
    assert await mirror.fetch(commit) == commit


async def test_a_force_push_is_followed(mirror: GitMirror, repository: Repository) -> None:
    await mirror.fetch("main")
    repository.git("commit", "--quiet", "--amend", "--message", "Rewritten")
    commit = await mirror.fetch("main")
    assert commit == repository.head()
    assert (await mirror.commit_info(commit)).subject == "Rewritten"


async def test_a_branch_may_take_the_place_of_a_directory_of_branches(
    mirror: GitMirror, repository: Repository
) -> None:
    repository.git("branch", "topic/one")
    await mirror.fetch("topic/one")
    repository.git("branch", "--delete", "topic/one")
    repository.git("branch", "topic")
    assert await mirror.fetch("topic") == repository.head()


async def test_an_empty_repository_has_no_branch_and_nothing_to_fetch(tmp_path: Path) -> None:
    empty = Repository(tmp_path / "empty")
    mirror = GitMirror(tmp_path / "git", empty.url)
    assert await mirror.default_branch() is None
    assert await mirror.ls_remote("HEAD") is None
    with pytest.raises(GitError, match="is empty"):
        await mirror.fetch("HEAD")
    with pytest.raises(GitError, match="has no branch or tag 'main'"):
        await mirror.fetch("main")
    commit = empty.commit({"README": "no longer"})
    assert await mirror.fetch("main") == commit


async def test_an_unreachable_repository_is_one_clear_error(tmp_path: Path) -> None:
    mirror = GitMirror(tmp_path / "git", f"file://{tmp_path}/absent")
    with pytest.raises(GitError, match="absent"):
        await mirror.ls_remote("main")
    with pytest.raises(GitError, match="absent"):
        await mirror.fetch("main")


async def test_an_unknown_commit_is_one_clear_error(mirror: GitMirror) -> None:
    with pytest.raises(GitError, match="has no commit 1111111"):
        await mirror.fetch("1" * 40)


async def test_a_repository_with_sha256_hashes_is_mirrored(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "origin", object_format="sha256")
    commit = repository.commit({"README": "long\n"})
    mirror = GitMirror(tmp_path / "git", repository.url)
    assert len(commit) == 64
    assert await mirror.ls_remote("main") == commit
    assert await mirror.fetch("main") == commit
    newer = repository.commit({"README": "longer\n"})
    assert await mirror.fetch(newer) == newer
    assert [entry.size for entry in await mirror.tree(newer)] == [7]


async def test_an_export_is_a_clean_tree_with_the_time_of_the_commit(
    mirror: GitMirror, repository: Repository, tmp_path: Path
) -> None:
    repository.write({"run": "#!/bin/sh\n", ".gitattributes": "hidden export-ignore\n", "hidden": "kept\n"})
    (repository.path / "run").chmod(0o755)
    (repository.path / "link").symlink_to("src/main.c")
    (repository.path / "far").symlink_to("/etc/hostname")
    commit = repository.commit(date="2026-02-03T04:05:06+00:00")
    await mirror.fetch("main")
    destination = tmp_path / "export"
    await mirror.export(commit, destination)
    assert sorted(path.relative_to(destination).as_posix() for path in destination.rglob("*")) == [
        ".gitattributes", "README", "far", "hidden", "link", "run", "src", "src/main.c",
    ]  # fmt: skip
    assert (destination / "far").readlink() == Path("/etc/hostname")
    assert (destination / "run").stat().st_mode & stat.S_IXUSR
    moment = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC).timestamp()
    assert {path.lstat().st_mtime for path in [destination, *destination.rglob("*")]} == {moment}


async def test_submodules_are_left_out(mirror: GitMirror, repository: Repository, tmp_path: Path) -> None:
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{repository.head()},vendor/lib")
    repository.git("commit", "--quiet", "--message", "Add a submodule")
    commit = await mirror.fetch("main")
    assert [entry.path for entry in await mirror.tree(commit)] == ["README", "src/main.c"]
    await mirror.export(commit, tmp_path / "export")
    assert not list((tmp_path / "export" / "vendor" / "lib").iterdir())


async def test_blobs_together_larger_than_the_limit_are_refused(
    mirror: GitMirror, repository: Repository
) -> None:
    repository.commit({"large": b"x" * 100_000})
    commit = await mirror.fetch("main")
    entries = {entry.path: entry.blob for entry in await mirror.tree(commit)}
    with pytest.raises(GitError, match="larger than"):
        await mirror.blobs(entries.values(), limit=50_000)
    with pytest.raises(GitError, match="is missing"):
        await mirror.blobs([entries["README"], "2" * 40])
    assert await mirror.blobs([]) == {}


@pytest.mark.parametrize(
    "url",
    [
        "", "--upload-pack=touch /tmp/x", "-x", "ext::sh -c touch% /tmp/x", "ext::/bin/true", "fd::7", "::x",
        "ext://host/path", "ftp://example.org/x", "relative/path", "../up", "https://", "ssh://-oProxyCommand=x/y",
        "ssh://-x@example.org/y", "-oProxyCommand=x:y", "git@-oProxyCommand=x:y", "https://example.org/a b",
        "https://example.org/\nx", "https://[broken/x",
    ],
)  # fmt: skip
def test_hostile_and_useless_urls_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidInputError):
        GitMirror(tmp_path, url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.git", "http://user:pw@example.org/a", "ssh://git@example.org:2222/a.git",
        "git@example.org:a/b.git", "example.org:a", "/srv/git/a.git", "file:///srv/git/a", "git://example.org/a",
        "https://[::1]:8080/a",
    ],
)  # fmt: skip
def test_usual_urls_are_accepted(tmp_path: Path, url: str) -> None:
    GitMirror(tmp_path, url)


@pytest.mark.parametrize(
    "ref", ["", "--upload-pack=x", "-b", "a b", "a..b", "a:b", "a*", "a~1", "a^{}", "x.lock", "/a", "a/", "a//b", "@", "a@{1}", "a\n", ".a", "a/.b", "x" * 300]
)  # fmt: skip
async def test_hostile_refs_are_refused(mirror: GitMirror, ref: str) -> None:
    with pytest.raises(InvalidInputError):
        await mirror.ls_remote(ref)
    with pytest.raises(InvalidInputError):
        await mirror.fetch(ref)


@pytest.mark.parametrize("name", ["--help", "HEAD", "main", "0" * 39, "0" * 40 + "\n"])
async def test_only_whole_hashes_are_read(mirror: GitMirror, name: str, tmp_path: Path) -> None:
    for reading in (
        mirror.commit_info(name),
        mirror.tree(name),
        mirror.blobs([name]),
        mirror.export(name, tmp_path / "x"),
    ):
        with pytest.raises(GitError, match="not a whole object id"):
            await reading


async def test_credentials_appear_in_no_message(tmp_path: Path) -> None:
    mirror = GitMirror(tmp_path / "git", "http://bot:s3cr%C3%A9t@127.0.0.1:9/x.git?token=abcdef")
    with pytest.raises(GitError) as caught:
        await mirror.ls_remote("main")
    for text in (str(caught.value), mirror.url, str(mirror.path), repr(caught.value.__cause__)):
        assert "127.0.0.1" in text or text in {str(mirror.path), "None"}
        for secret in ("s3cr", "abcdef", "bot"):
            assert secret not in text


async def test_a_url_with_a_password_is_not_seen_in_the_command_line(tmp_path: Path) -> None:
    mirror = GitMirror(tmp_path / "git", "https://bot:hunter2@example.org/x.git")
    command = mirror._git.command(["fetch", mirror.url])
    assert "hunter2" not in " ".join(command)
    assert any("hunter2" in value for value in mirror._git.environment().values())


async def test_git_sees_nothing_of_our_environment(
    mirror: GitMirror, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hooked = tmp_path / "hooked"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text(f'[url "file:///absent/"]\n\tinsteadOf = {mirror.url}\n')
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FC_SECRET_TOKEN", "hidden")
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {hooked}")
    assert await mirror.ls_remote("main") is not None
    assert "FC_SECRET_TOKEN" not in mirror._git.environment()
    assert not hooked.exists()


async def test_a_mirror_left_by_an_interrupted_fetch_is_used_again(
    mirror: GitMirror, repository: Repository
) -> None:
    await mirror.fetch("main")
    for leftover in ("shallow.lock", "packed-refs.lock", "objects/pack/tmp_pack_abc", "refs/fc/x.lock"):
        (mirror.path / leftover).parent.mkdir(parents=True, exist_ok=True)
        (mirror.path / leftover).write_text("")
    commit = repository.commit({"README": "again\n"})
    assert await mirror.fetch("main") == commit
    assert not list(mirror.path.rglob("*.lock"))
    assert not list(mirror.path.rglob("tmp_*"))


async def test_a_mirror_that_was_never_finished_is_made_again(
    mirror: GitMirror, repository: Repository
) -> None:
    (mirror.path / "objects").mkdir(parents=True)
    assert await mirror.fetch("main") == repository.head()


_FETCH_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from fc.base.git import GitMirror
async def main():
    mirror = GitMirror(Path(sys.argv[1]), sys.argv[2])
    while True:
        await mirror.fetch("main")
        print("fetched", flush=True)
asyncio.run(main())
"""


async def test_a_process_killed_while_it_fetches_leaves_a_usable_mirror(
    mirror: GitMirror, repository: Repository
) -> None:
    for round_number in range(3):
        commit = repository.commit({"data": os.urandom(300_000), "round": str(round_number)})
        fetching = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _FETCH_FOR_EVER, str(mirror.path.parent), repository.url, stdout=asyncio.subprocess.PIPE
        )  # fmt: skip
        assert fetching.stdout is not None
        if round_number:
            await fetching.stdout.readline()
        fetching.send_signal(signal.SIGKILL)
        await fetching.wait()
        assert await mirror.fetch("main") == commit
        assert len(await mirror.blobs(entry.blob for entry in await mirror.tree(commit))) == 4


async def test_many_fetches_at_once_agree(mirror: GitMirror, repository: Repository, tmp_path: Path) -> None:
    other = GitMirror(tmp_path / "git", repository.url)
    repository.git("branch", "second")
    commits = await asyncio.gather(
        *(each.fetch(ref) for each in (mirror, other) for ref in ("main", "second", "HEAD"))
    )
    assert set(commits) == {repository.head()}


async def test_a_fetch_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    mirror = GitMirror(tmp_path / "git", f"git://127.0.0.1:{port}/x.git", fetch_seconds=0.3)
    with pytest.raises(GitError, match="did not answer within"):
        await mirror.fetch("main")
    server.close()
    await server.wait_closed()


async def test_a_mirror_with_many_packs_is_consolidated_and_loses_nothing(
    mirror: GitMirror, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc.base.git._MANY_PACKS", 3)
    commits = []
    for number in range(6):
        commits.append(repository.commit({"number": str(number)}))
        await mirror.fetch("main")
    assert len(list((mirror.path / "objects" / "pack").glob("*.pack"))) <= 3
    for number, commit in enumerate(commits):
        entries = {entry.path: entry.blob for entry in await mirror.tree(commit)}
        assert (await mirror.blobs([entries["number"]]))[entries["number"]] == str(number).encode()


async def test_odd_names_and_times_are_read(mirror: GitMirror, repository: Repository) -> None:
    repository.commit({'a "quoted"\n name': "x", "ünïcode/→": "y"}, "Sübject “quoted”\n\nbody")
    commit = await mirror.fetch("main")
    assert {'a "quoted"\n name', "ünïcode/→"} <= {entry.path for entry in await mirror.tree(commit)}
    assert [entry.path for entry in await mirror.tree(commit, "ünïcode")] == ["ünïcode/→"]
    assert (await mirror.commit_info(commit)).subject == "Sübject “quoted”"
