"""Vetting: whether the commits of a source are signed as they must be, and whether its branch was moved."""

from fc.base.errors import GitError
from fc.base.git import GitMirror
from fc.base.git_history import contains, new_commits
from fc.base.git_signatures import Signatures
from fc.base.source_settings import SourceSettings
from fc.config.errors import UntrustedError
from fc.config.gate import Move

_SHOWN = 12
_NAMED = 20
_LONGEST = 80


class Vetting:
    """Looks at commits before anything in them is read. What was found is remembered."""

    def __init__(self, mirror: GitMirror, configured: SourceSettings) -> None:
        """``mirror`` is a whole one if ``needs_history`` says so."""
        self._mirror = mirror
        self._configured = configured
        signed = configured.require_signed
        self._signatures = None if signed is None else Signatures(mirror, signed.gpg, signed.ssh)
        self._held: dict[tuple[str, str], bool | None] = {}

    async def signer(self, commit: str, applied: str | None) -> str | None:
        """Who signed ``commit``; none: nobody had to, or it is in force already.

        Args:
            commit: the newest one.
            applied: the commit in force: everything since has to be signed; none: ``commit`` alone.

        Raises:
            UntrustedError: something is not signed as it must be, or it cannot be told what is new.
            EnvironmentMissingError: keys cannot be read, or a program is missing.
            GitError: git failed.
        """
        if self._signatures is None or commit == applied:
            return None
        new = [commit] if applied is None else await self._new(commit, applied)
        # The newest one also if it is an older one that the branch was set back to.
        wanted = list(dict.fromkeys([commit, *new]))
        verdicts = await self._signatures.check(wanted)
        bad = [(one, verdicts[one].reason) for one in wanted if verdicts[one].signer is None]
        if bad:
            reasons = [await self._reason(one, why) for one, why in bad[:_NAMED]]
            more = len(bad) - _NAMED
            raise UntrustedError([*reasons, f"and {more} more commits"] if more > 0 else reasons)
        return verdicts[commit].signer

    async def move(self, commit: str, applied: str | None) -> tuple[Move | None, bool]:
        """How the branch was moved, if it no longer holds the commit in force; and whether that is known."""
        if applied is None or commit == applied:
            return None, True
        pair = (applied, commit)
        found = self._held.get(pair)
        if pair not in self._held or (found is None and self._configured.force_push == "refuse"):
            found = await contains(self._mirror, self._configured.branch, commit, applied)
            self._held = {pair: found}
        return (None if found is not False else Move(applied, commit)), found is not None

    async def _new(self, commit: str, applied: str) -> list[str]:
        try:
            return await new_commits(self._mirror, commit, applied)
        except GitError as error:
            reason = (
                f"it cannot be told which commits are new since {applied[:_SHOWN]}, the commit in force, so whether they "
                f"are signed: {error.detail}; push that commit to the repository again, under any name, or leave "
                "require_signed out of the settings for one synchronisation"
            )
            raise UntrustedError([reason]) from None

    async def _reason(self, commit: str, why: str) -> str:
        info = await self._mirror.commit_info(commit)
        return f"commit {commit[:_SHOWN]} {_quoted(info.subject)} by {_quoted(info.author)}: {why}"


def needs_history(configured: SourceSettings) -> bool:
    """Whether a source can only be vetted with all of its history."""
    return configured.require_signed is not None or configured.force_push == "refuse"


def _quoted(text: str) -> str:
    """What somebody else wrote: on one line, not too long, and nothing that a terminal would obey."""
    shown = "".join(one if one.isprintable() else "?" for one in text)
    return f"\u201c{shown[:_LONGEST]}{'…' if len(shown) > _LONGEST else ''}\u201d"
