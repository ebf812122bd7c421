"""Signatures of commits, checked by git with GnuPG and ssh-keygen, against keys of ours alone."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from fc.base.errors import EnvironmentMissingError
from fc.base.git import GitMirror
from fc.base.process import run_process

_BATCH = 100
_AGAIN_SECONDS = 600.0
"""After this, what was not good is looked at again: it may have been the machine's fault."""
_IMPORT_SECONDS = 60.0
_FORMAT = "%H%x00%G?%x00%GK%x00%GF%x00%GP%x00%GS%x00"
_FIELDS = 6
_GNUPG = """\
batch
no-tty
no-autostart
disable-dirmngr
no-auto-key-retrieve
auto-key-locate local
trust-model always
"""
"""Nobody is asked, nothing is started, nothing is fetched; whoever is in the keyring is trusted."""
_REASONS = {
    "N": "it has no signature",
    "B": "its signature is bad: what was signed is something else",
    "U": "its key {key} is not among the allowed signers, or was not valid when it was committed",
    "X": "its signature has expired",
    "Y": "its key {key} has expired",
    "R": "its key {key} was revoked",
    "E": "its key {key} is unknown",
}
"""Why a commit is not accepted, by the letter that git gives it (``%G?`` in git-log(1))."""


class Verdict(msgspec.Struct, frozen=True):
    """What the signature of a commit is worth."""

    signer: str | None
    """Who signed it, with the fingerprint of the key; none: it is not to be trusted."""
    reason: str
    """Why not; empty when it is."""


class Signatures:
    """Checks commits against the keys in two files; what was found is remembered until the files change.

    Neither keys nor settings of the user take part, no agent is started, and nothing is asked over a network. A
    signature by SSH must be by a key that was valid at the time of the commit.
    """

    def __init__(self, mirror: GitMirror, gpg: Path | None, ssh: Path | None) -> None:
        """Nothing is read yet.

        Args:
            mirror: where the commits are.
            gpg: keyring of OpenPGP public keys, as ``gpg --export`` writes it; none: no such signature counts.
            ssh: allowed signers, as in ssh-keygen(1); none: no such signature counts.
        """
        self._mirror = mirror
        self._gpg = gpg
        self._ssh = ssh
        self._keys = ""
        self._known: dict[str, Verdict] = {}
        self._again = 0.0

    async def check(self, commits: Sequence[str]) -> dict[str, Verdict]:
        """What each of the commits, which were fetched, is worth.

        Raises:
            EnvironmentMissingError: a file of keys cannot be read, or a program is missing.
            GitError: a commit cannot be read.
        """
        keyring, signers = _read(self._gpg), _read(self._ssh)
        keys = hashlib.sha256(hashlib.sha256(keyring).digest() + signers).hexdigest()
        if keys != self._keys:
            self._keys, self._known = keys, {}
        if time.monotonic() >= self._again:
            self._known = {commit: verdict for commit, verdict in self._known.items() if verdict.signer}
            self._again = time.monotonic() + _AGAIN_SECONDS
        unknown = [commit for commit in dict.fromkeys(commits) if commit not in self._known]
        if unknown:
            async with _programs(keyring if self._gpg else None, signers if self._ssh else None) as variables:
                for start in range(0, len(unknown), _BATCH):
                    self._known |= await self._look(unknown[start : start + _BATCH], variables)
        return {commit: self._known[commit] for commit in commits}

    async def _look(self, commits: list[str], variables: dict[str, str]) -> dict[str, Verdict]:
        written = await self._mirror.blobs(commits)
        command = ["log", "--no-walk=unsorted", "--no-show-signature", "--encoding=UTF-8", "--stdin"]
        result = await self._mirror.command.run(
            [*command, f"--format={_FORMAT}"], extra=variables, given="\n".join([*commits, ""]).encode()
        )
        words = result.output.decode(errors="replace").split("\0")
        rows = [words[start : start + _FIELDS] for start in range(0, len(words) - 1, _FIELDS)]
        found = {row[0].strip(): row[1:] for row in rows}
        return {commit: _verdict(written[commit], *found[commit]) for commit in commits}


def _verdict(written: bytes, letter: str, key: str, fingerprint: str, primary: str, signer: str) -> Verdict:
    """What git's words mean. A commit with two signatures says two things at once: it is not accepted."""
    head = written.partition(b"\n\n")[0].split(b"\n")
    if sum(line.startswith(b"gpgsig") for line in head) > 1:
        return Verdict(None, "it has several signatures")
    if letter == "G" and signer:
        return Verdict(f"{_plain(signer)} ({primary or fingerprint})", "")
    if letter == "E" and not key:
        return Verdict(None, "its signature cannot be checked")
    return Verdict(None, _REASONS.get(letter, "its signature is not good").format(key=_plain(key)))


def _plain(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)[:300]


def _read(file: Path | None) -> bytes:
    if file is None:
        return b""
    try:
        return file.read_bytes()
    except OSError as error:
        message = f"the keys that commits must be signed with cannot be read: {file}: {error.strerror}"
        raise EnvironmentMissingError(message) from None


@asynccontextmanager
async def _programs(keyring: bytes | None, signers: bytes | None) -> AsyncIterator[dict[str, str]]:
    """Variables by which git finds the programs, and keys of ours alone."""
    if signers is not None:
        _require("ssh-keygen", "openssh-client")
    with tempfile.TemporaryDirectory(prefix="fc-keys-") as made:
        home = Path(made) / "gnupg"
        home.mkdir(mode=0o700)
        (home / "gpg.conf").write_text(_GNUPG, encoding="ascii")
        allowed = Path(made) / "allowed_signers"
        allowed.write_bytes(signers or b"")
        gpg = "false"
        if keyring is not None:
            gpg = _require("gpg", "gnupg")
            await _import(gpg, home, keyring)
        settings = {
            "gpg.program": gpg,
            "gpg.x509.program": "false",
            "gpg.ssh.allowedSignersFile": str(allowed),
            "gpg.minTrustLevel": "undefined",
        }
        variables = {"GNUPGHOME": str(home), "GIT_CONFIG_COUNT": str(len(settings))}
        for number, (name, value) in enumerate(settings.items()):
            variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        yield variables


async def _import(gpg: str, home: Path, keyring: bytes) -> None:
    variables = {"PATH": os.environ.get("PATH", os.defpath), "GNUPGHOME": str(home), "LC_ALL": "C"}
    result = await run_process(
        [gpg, "--status-fd=1", "--import"],
        environment=variables,
        directory=home,
        given=keyring,
        timeout=_IMPORT_SECONDS,
        errors_limit=500,
    )
    # The exit status also tells of an agent that it would rather have had.
    if b"[GNUPG:] IMPORT_OK " not in result.output:
        said = " ".join(result.errors.decode(errors="replace").split())
        message = f"the keyring of require_signed.gpg is none that gpg can import: {_plain(said)}"
        raise EnvironmentMissingError(message)


def _require(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None:
        message = f"{program} is not installed, but commits must be signed; install it (Debian and Ubuntu: apt-get install {package})"
        raise EnvironmentMissingError(message)
    return found
