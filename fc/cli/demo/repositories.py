"""The demo's git repositories: bare ones with a push hook, and working copies to push from."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_CONTENT = Path(__file__).parent / "content"
_HOOK = """#!/bin/sh
# Tells the forge of each pushed branch, as a forge's own hook would.
while read -r before after ref; do
  {python} -I -S {announce} {port} {name} "$before" "$after" "$ref"
done
"""
_ANNOUNCE = '''"""Tell the demo's forge of a push: one line to its control port."""

import socket
import sys

port, *words = sys.argv[1:]
with socket.create_connection(("127.0.0.1", int(port)), timeout=5) as connection:
    connection.sendall((" ".join(words) + "\\n").encode())
'''


@dataclass(frozen=True, slots=True)
class Repository:
    """A bare repository and a working copy of it."""

    name: str
    bare: Path
    work: Path

    @property
    def url(self) -> str:
        """What FC fetches from."""
        return f"file://{self.bare}"

    def push(self, message: str) -> None:
        """Commit everything in the working copy and push it."""
        _git(self.work, "add", "--all")
        _git(self.work, "commit", "--quiet", "--message", message)
        _git(self.work, "push", "--quiet", "origin", "main")


def make_repository(directory: Path, name: str, hook_port: int) -> Repository:
    """An empty bare repository which announces pushes to ``hook_port``, and its working copy."""
    bare = directory / f"{name}.git"
    work = directory / name
    _git(directory, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    announce = bare / "hooks" / "announce.py"
    announce.write_text(_ANNOUNCE, encoding="utf-8")
    hook = bare / "hooks" / "post-receive"
    hook.write_text(
        _HOOK.format(python=sys.executable, announce=announce, port=hook_port, name=name), encoding="utf-8"
    )
    hook.chmod(0o755)
    work.mkdir()
    _git(work, "init", "--quiet", "--initial-branch=main")
    _git(work, "remote", "add", "origin", str(bare))
    for key, value in (
        ("user.name", "Alice Example"),
        ("user.email", "alice@example.org"),
        ("commit.gpgsign", "false"),
    ):
        _git(work, "config", key, value)
    return Repository(name, bare, work)


def fill(repository: Repository, values: dict[str, str]) -> None:
    """Copy the shipped content for ``repository`` into its working copy, with ``@name@`` replaced by values."""
    for source in sorted((_CONTENT / repository.name).iterdir()):
        text = source.read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        (repository.work / source.name).write_text(text, encoding="utf-8")


def _git(directory: Path, *args: str) -> None:
    program = shutil.which("git")
    assert program is not None, "main checks for git"
    subprocess.run([program, *args], cwd=directory, check=True, stdin=subprocess.DEVNULL)  # noqa: S603 - our own words
