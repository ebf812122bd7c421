"""Real git repositories, made by real git, for tests."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada Lovelace",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada Lovelace",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class Repository:
    """A repository with a working tree that tests commit to; its directory is what others fetch from."""

    def __init__(self, directory: Path, branch: str = "main", object_format: str = "sha1") -> None:
        self.path = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", f"--initial-branch={branch}", f"--object-format={object_format}")

    @property
    def url(self) -> str:
        """Where to fetch from."""
        return f"file://{self.path}"

    def git(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run git in the working tree; what it prints."""
        result = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=_ENVIRONMENT | dict(environment or {}),
            check=True,
            capture_output=True,
            text=True,
        )
        return result.stdout.strip()

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files by their path from the top; none removes one."""
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(
        self,
        files: Mapping[str, str | bytes | None] | None = None,
        message: str = "Change something",
        date: str | None = None,
    ) -> str:
        """Write ``files``, commit everything, and return the commit's hash."""
        self.write(files or {})
        self.git("add", "--all")
        dated = {} if date is None else {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        self.git("commit", "--quiet", "--allow-empty", "--message", message, environment=dated)
        return self.head()

    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD")


def commits_in(git_dir: Path) -> list[str]:
    """Every commit that a repository holds, whether or not something leads to it."""
    listed = subprocess.run(
        ["git", f"--git-dir={git_dir}", "cat-file", "--batch-check", "--batch-all-objects"],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [line.split() for line in listed.stdout.splitlines()]
    return [words[0] for words in lines if words[1] == "commit"]
