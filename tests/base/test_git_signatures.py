"""Signatures of commits: real keys, real commits, and what must not pass for a good one."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fc.base import git_signatures
from fc.base.errors import EnvironmentMissingError
from fc.base.git import GitMirror
from fc.base.git_signatures import Signatures, Verdict
from tests.support.repository import Repository
from tests.support.signing import GpgKeys, SshKey, gpg_keys

ADA = "Ada Lovelace <ada@example.org>"
EVE = "Eve <eve@example.org>"


@pytest.fixture(scope="module")
def keys() -> Iterator[GpgKeys]:
    with gpg_keys() as made:
        made.make(ADA)
        made.make(EVE)
        yield made


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "origin")


@pytest.fixture
def mirror(tmp_path: Path, repository: Repository) -> GitMirror:
    return GitMirror(tmp_path / "git", repository.url, whole=True)


async def look(
    mirror: GitMirror, commit: str, *, gpg: Path | None = None, ssh: Path | None = None
) -> Verdict:
    """What one commit is worth."""
    await mirror.fetch("main")
    return (await Signatures(mirror, gpg, ssh).check([commit]))[commit]


@pytest.mark.parametrize("armor", [False, True])
async def test_a_key_of_the_keyring_is_good(
    keys: GpgKeys, mirror: GitMirror, repository: Repository, tmp_path: Path, armor: bool
) -> None:
    commit = keys.sign(repository, ADA)
    found = await look(mirror, commit, gpg=keys.keyring(tmp_path / "ring", ADA, armor=armor))
    assert found.reason == ""
    assert found.signer is not None
    assert found.signer.startswith(f"{ADA} (")


async def test_a_key_of_somebody_else_is_unknown(
    keys: GpgKeys, mirror: GitMirror, repository: Repository, tmp_path: Path
) -> None:
    commit = keys.sign(repository, EVE)
    found = await look(mirror, commit, gpg=keys.keyring(tmp_path / "ring", ADA))
    assert found.signer is None
    assert found.reason.endswith("is unknown")


async def test_a_commit_without_signature_is_not_good_though_a_signed_tag_names_it(
    keys: GpgKeys, mirror: GitMirror, repository: Repository, tmp_path: Path
) -> None:
    commit = repository.commit({"a": "1"})
    environment = {"GNUPGHOME": str(keys.home)}
    repository.git("tag", "--sign", "--local-user", ADA, "--message", "v", "v1", environment=environment)
    assert await mirror.fetch("v1") == commit
    found = await look(mirror, commit, gpg=keys.keyring(tmp_path / "ring", ADA))
    assert found == Verdict(None, "it has no signature")


async def test_expired_and_revoked_keys_are_not_good(
    mirror: GitMirror, repository: Repository, tmp_path: Path
) -> None:
    with gpg_keys() as mine:
        mine.make("old@example.org", moment="20250101T000000", expires="20250201T000000")
        expired = mine.sign(repository, "old@example.org", moment="20250110T000000")
        fingerprint = mine.make("lost@example.org")
        revoked = mine.sign(repository, "lost@example.org")
        mine.revoke(fingerprint)
        ring = mine.keyring(tmp_path / "ring")
    await mirror.fetch("main")
    found = await Signatures(mirror, ring, None).check([expired, revoked])
    assert [found[one].signer for one in (expired, revoked)] == [None, None]
    assert found[expired].reason.endswith("has expired")
    assert found[revoked].reason.endswith("was revoked")


async def test_what_was_changed_after_it_was_signed_is_bad(
    keys: GpgKeys, mirror: GitMirror, repository: Repository, tmp_path: Path
) -> None:
    signed = repository.git("cat-file", "commit", keys.sign(repository, ADA))
    changed = _write(repository, signed.replace("\n\nSigned", "\n\nForged"))
    found = await look(mirror, changed, gpg=keys.keyring(tmp_path / "ring", ADA))
    assert found.signer is None
    assert found.reason.startswith("its signature is bad")


async def test_a_signature_of_another_commit_does_not_count(
    keys: GpgKeys, mirror: GitMirror, repository: Repository, tmp_path: Path
) -> None:
    """As it stands, and beside the one that belongs there."""
    first = repository.git("cat-file", "commit", keys.sign(repository, EVE))
    second = repository.git("cat-file", "commit", keys.sign(repository, ADA))
    signature = second[second.index("gpgsig") : second.index("\n\n")]
    ring = keys.keyring(tmp_path / "ring", ADA)
    moved = _write(repository, first[: first.index("gpgsig")] + signature + "\n\nSigned\n")
    assert (await look(mirror, moved, gpg=ring)).signer is None
    both = _write(repository, second.replace("\n\nSigned", f"\n{signature}\n\nSigned") + "\n")
    assert await look(mirror, both, gpg=ring) == Verdict(None, "it has several signatures")


async def test_replacements_of_objects_do_not_count(
    keys: GpgKeys, mirror: GitMirror, repository: Repository, tmp_path: Path
) -> None:
    good = keys.sign(repository, ADA)
    bad = repository.commit({"a": "1"})
    await mirror.fetch("main")
    await mirror.command.run(["update-ref", f"refs/replace/{bad}", good])
    (mirror.path / "info").mkdir(exist_ok=True)
    (mirror.path / "info" / "grafts").write_text(f"{bad}\n", encoding="ascii")
    found = await look(mirror, bad, gpg=keys.keyring(tmp_path / "ring", ADA))
    assert found == Verdict(None, "it has no signature")


async def test_ssh_keys_are_good_only_while_they_are_allowed(
    mirror: GitMirror, repository: Repository, tmp_path: Path
) -> None:
    ada, old, eve = (SshKey(tmp_path / name) for name in ("ada", "old", "eve"))
    allowed = tmp_path / "allowed"
    allowed.write_text(
        ada.allowed("ada@example.org") + old.allowed("old@example.org", 'valid-before="20250201Z"'),
        encoding="utf-8",
    )
    good = ada.sign(repository)
    then = old.sign(repository, date="2025-01-10T00:00:00+00:00")
    late = old.sign(repository, date="2025-03-10T00:00:00+00:00")
    other = eve.sign(repository)
    await mirror.fetch("main")
    found = await Signatures(mirror, None, allowed).check([good, then, late, other])
    assert str(found[good].signer).startswith("ada@example.org (SHA256:")
    assert str(found[then].signer).startswith("old@example.org (SHA256:")
    assert found[late].signer is None
    assert found[other].signer is None
    assert "not among the allowed signers" in found[other].reason


async def test_each_kind_of_signature_needs_its_own_file(
    keys: GpgKeys, mirror: GitMirror, repository: Repository, tmp_path: Path
) -> None:
    key = SshKey(tmp_path / "ada")
    allowed = tmp_path / "allowed"
    allowed.write_text(key.allowed("ada@example.org"), encoding="utf-8")
    by_gpg, by_ssh = keys.sign(repository, ADA), key.sign(repository)
    ring = keys.keyring(tmp_path / "ring", ADA)
    await mirror.fetch("main")
    both = await Signatures(mirror, ring, allowed).check([by_gpg, by_ssh])
    assert all(one.signer for one in both.values())
    assert (await look(mirror, by_gpg, ssh=allowed)).signer is None
    assert (await look(mirror, by_ssh, gpg=ring)).signer is None


async def test_what_was_found_is_remembered_until_the_keys_change(
    keys: GpgKeys, mirror: GitMirror, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = keys.sign(repository, EVE)
    ring = keys.keyring(tmp_path / "ring", ADA)
    await mirror.fetch("main")
    signatures = Signatures(mirror, ring, None)
    assert (await signatures.check([commit]))[commit].signer is None
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(tmp_path))
        assert (await signatures.check([commit]))[commit].signer is None
    keys.keyring(ring, ADA, EVE)
    assert (await signatures.check([commit]))[commit].signer is not None


async def test_a_missing_program_says_what_to_install(
    keys: GpgKeys, mirror: GitMirror, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = keys.sign(repository, ADA)
    ring = keys.keyring(tmp_path / "ring", ADA)
    await mirror.fetch("main")
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "gpg" else f"/bin/{name}")
    with pytest.raises(EnvironmentMissingError, match=r"gpg is not installed.*apt-get install gnupg"):
        await Signatures(mirror, ring, None).check([commit])


async def test_what_was_not_good_is_looked_at_again_after_a_while(
    keys: GpgKeys, mirror: GitMirror, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_signatures, "_AGAIN_SECONDS", 0.0)
    good, bad = keys.sign(repository, ADA), keys.sign(repository, EVE)
    await mirror.fetch("main")
    signatures = Signatures(mirror, keys.keyring(tmp_path / "ring", ADA), None)
    await signatures.check([good, bad])
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert (await signatures.check([good]))[good].signer is not None
    with pytest.raises(EnvironmentMissingError):
        await signatures.check([bad])


@pytest.mark.parametrize("content", [None, b"", b"no keyring\n"])
async def test_a_useless_keyring_is_one_clear_error(
    keys: GpgKeys, mirror: GitMirror, repository: Repository, tmp_path: Path, content: bytes | None
) -> None:
    commit = keys.sign(repository, ADA)
    ring = tmp_path / "ring"
    if content is not None:
        ring.write_bytes(content)
    await mirror.fetch("main")
    with pytest.raises(EnvironmentMissingError, match=r"keys that commits must be signed|the keyring of"):
        await Signatures(mirror, ring, None).check([commit])


async def test_many_commits_are_checked_in_batches_and_nothing_is_left(
    mirror: GitMirror, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_signatures, "_BATCH", 3)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    key = SshKey(tmp_path / "ada")
    allowed = tmp_path / "allowed"
    allowed.write_text(key.allowed("ada@example.org"), encoding="utf-8")
    commits = [key.sign(repository) for _ in range(7)]
    await mirror.fetch("main")
    found = await Signatures(mirror, None, allowed).check(commits)
    assert all(one.signer for one in found.values())
    assert list(tmp_path.glob("fc-keys-*")) == []


async def test_commits_of_a_repository_with_sha256_hashes_are_checked(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "new", object_format="sha256")
    mirror = GitMirror(tmp_path / "git", repository.url, whole=True)
    key = SshKey(tmp_path / "ada")
    allowed = tmp_path / "allowed"
    allowed.write_text(key.allowed("ada@example.org"), encoding="utf-8")
    good, bad = key.sign(repository), repository.commit({"a": "1"})
    await mirror.fetch("main")
    found = await Signatures(mirror, None, allowed).check([good, bad])
    assert (found[good].reason, found[bad].signer) == ("", None)


def _write(repository: Repository, text: str) -> str:
    """Write a commit as it is given, and have the branch stand at it."""
    file = repository.path.parent / "commit"
    file.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    commit = repository.git("hash-object", "-t", "commit", "-w", "--literally", str(file))
    repository.git("update-ref", "refs/heads/main", commit)
    return commit
