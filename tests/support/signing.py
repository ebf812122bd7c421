"""Keys that sign commits, made by real gpg and ssh-keygen, each GnuPG home apart from that of the user."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.repository import Repository


class GpgKeys:
    """A GnuPG home with secret keys."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.chmod(0o700)

    def _gpg(self, *arguments: str) -> bytes:
        command = [
            "gpg",
            "--batch",
            "--no-tty",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
            *arguments,
        ]
        environment = {"PATH": os.environ["PATH"], "GNUPGHOME": str(self.home), "LC_ALL": "C"}
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout

    def make(self, user: str, *, moment: str | None = None, expires: str = "never") -> str:
        """Make a key for ``user``, at a moment such as ``20260101T000000``; its fingerprint."""
        then = [] if moment is None else ["--faked-system-time", f"{moment}!"]
        self._gpg(*then, "--quick-generate-key", user, "ed25519", "sign", expires)
        listed = self._gpg("--list-keys", "--with-colons", user).decode().splitlines()
        return next(line.split(":")[9] for line in listed if line.startswith("fpr"))

    def keyring(self, file: Path, *users: str, armor: bool = False) -> Path:
        """Write the public keys of these users."""
        file.write_bytes(self._gpg(*(["--armor"] if armor else []), "--export", *users))
        return file

    def revoke(self, fingerprint: str) -> None:
        """Revoke a key by the certificate that was made with it."""
        certificate = self.home / "openpgp-revocs.d" / f"{fingerprint}.rev"
        text = certificate.read_text(encoding="utf-8").replace(":-----BEGIN", "-----BEGIN")
        usable = certificate.with_suffix(".asc")
        usable.write_text(text, encoding="utf-8")
        self._gpg("--import", str(usable))

    def sign(self, repository: Repository, key: str, *arguments: str, moment: str | None = None) -> str:
        """Commit with the key's signature; the commit."""
        program = self.home / "gpg-for-git"
        then = "" if moment is None else f"--faked-system-time {moment}!"
        program.write_text(f'#!/bin/sh\nexec gpg --batch --no-tty {then} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        settings = ["-c", f"gpg.program={program}", "-c", f"user.signingKey={key}"]
        return _commit(repository, settings, arguments, {"GNUPGHOME": str(self.home)})


@contextmanager
def gpg_keys() -> Iterator[GpgKeys]:
    """A GnuPG home whose agent ends with it. Sockets have short names, so it stands at a short path."""
    with tempfile.TemporaryDirectory(prefix="fc-gpg-", dir="/tmp") as made:
        try:
            yield GpgKeys(Path(made))
        finally:
            environment = {"PATH": os.environ["PATH"], "GNUPGHOME": made}
            subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True, capture_output=True)


class SshKey:
    """A key pair."""

    def __init__(self, file: Path) -> None:
        self.file = file
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(file)],
            check=True,
            capture_output=True,
        )
        self.public = file.with_suffix(".pub").read_text(encoding="utf-8").strip()

    def allowed(self, principal: str, options: str = "") -> str:
        """A line of the file of allowed signers."""
        return f"{principal} {options} {self.public}".replace("  ", " ") + "\n"

    def sign(self, repository: Repository, *arguments: str, date: str | None = None) -> str:
        """Commit with the key's signature; the commit."""
        settings = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={self.file}"]
        dated = {} if date is None else {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        return _commit(repository, settings, arguments, dated)


def _commit(
    repository: Repository, settings: list[str], arguments: tuple[str, ...], variables: dict[str, str]
) -> str:
    repository.git("add", "--all")
    chosen = arguments or ("commit", "--quiet", "--allow-empty", "--message", "Signed")
    repository.git(*settings, chosen[0], "-S", *chosen[1:], environment=variables)
    return repository.head()
