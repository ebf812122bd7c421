"""Mirrors of repositories on real servers: HTTP with a password, plain files, SSH with a deploy key."""

from pathlib import Path

import asyncssh
import pytest

from fc.base.errors import GitError
from fc.base.git import GitMirror
from tests.support.git_servers import dumb_http, smart_http, ssh_server
from tests.support.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "root" / "hello")
    made.commit({"README": "one\n"}, "One")
    return made


async def test_a_password_in_the_url_is_used_and_shown_nowhere(
    tmp_path: Path, repository: Repository
) -> None:
    asked: list[str] = []
    with smart_http(tmp_path / "root", "bot:p@ss w0rd", asked) as place:
        mirror = GitMirror(tmp_path / "git", f"http://bot:p%40ss%20w0rd@{place}/hello/.git")
        commit = await mirror.fetch("main")
        assert commit == repository.head()
        old = commit
        newest = repository.commit({"README": "two\n"})
        assert await mirror.ls_remote("main") == newest
        assert await mirror.fetch(old) == old
        assert await mirror.fetch(newest) == newest
        wrong = GitMirror(tmp_path / "git", f"http://bot:wr0ng@{place}/hello/.git")
        with pytest.raises(GitError) as caught:
            await wrong.fetch("main")
        unknown = GitMirror(tmp_path / "git", f"http://{place}/hello/.git")
        with pytest.raises(GitError, match="terminal prompts disabled"):
            await unknown.ls_remote("main")
    assert "wr0ng" not in str(caught.value)
    assert "Authentication failed" in str(caught.value)
    kept = [path for path in (tmp_path / "git").rglob("*") if path.is_file() and b"w0rd" in path.read_bytes()]
    assert kept == []
    assert asked


async def test_a_server_of_plain_files_is_fetched_without_a_limit_to_history(
    tmp_path: Path, repository: Repository
) -> None:
    repository.commit({"README": "two\n"})
    repository.git("update-server-info")
    with dumb_http(tmp_path / "root") as place:
        mirror = GitMirror(tmp_path / "git", f"http://{place}/hello/.git")
        assert await mirror.ls_remote("main") == repository.head()
        assert await mirror.fetch("main") == repository.head()
        older = repository.git("rev-parse", "HEAD^")
        assert await mirror.fetch(older) == older


async def test_a_deploy_key_opens_an_ssh_server(tmp_path: Path, repository: Repository) -> None:
    key, other = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    for name, one in (("key", key), ("other", other)):
        one.write_private_key(tmp_path / name)
        (tmp_path / name).chmod(0o600)
    server = await ssh_server(key)
    port = server.get_port()
    url = f"ssh://git@127.0.0.1:{port}{repository.path}/.git"
    mirror = GitMirror(tmp_path / "a 100% spaced place", url, tmp_path / "key")
    assert await mirror.ls_remote("main") == repository.head()
    assert await mirror.fetch("main") == repository.head()
    assert (tmp_path / "a 100% spaced place" / "known_hosts").read_text().count("127.0.0.1") == 1
    for stranger in (GitMirror(tmp_path / "git", url, tmp_path / "other"), GitMirror(tmp_path / "git", url)):
        with pytest.raises(GitError, match="Permission denied"):
            await stranger.fetch("main")
    server.close()
    await server.wait_closed()
    impostor = await ssh_server(key, port)
    with pytest.raises(GitError, match="Host key verification failed"):
        await mirror.ls_remote("main")
    impostor.close()
    await impostor.wait_closed()
