"""Tokens of GitHub Apps: asked for when they are needed, kept in memory until shortly before they end."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

import msgspec
from typing_extensions import override

from fc.base.secrets import REDACTED
from fc.forge.github_apps import TOKEN_ADVICE, InstallationToken, app_proof, read_token, token_request
from fc.forge.status_answers import Answer, Later, Taken, read_answer
from fc.report.post import Poster
from fc.report.target import SecretReference, Target

_SPARE = 300.0
"""Seconds before its end from which a token is not used any more: longer than any delivery, and than clocks differ."""


class NoTokenError(Exception):
    """There is no token now."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer
        """What that means for what was to be sent."""

    @override
    def __str__(self) -> str:
        return f"no token of the GitHub App: {getattr(self.answer, 'reason', '')}"


class InstallationTokens:
    """The tokens of one process. They are never stored, nor logged."""

    def __init__(self) -> None:
        self._known: dict[Target, InstallationToken] = {}
        self._asking: defaultdict[Target, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def token(self, target: Target, reveal: Callable[[SecretReference], str], poster: Poster) -> str:
        """A token for the App and the repository of ``target``. Of many who want it at once, one asks GitHub.

        Raises:
            NoTokenError: GitHub gives none.
            StatusError: the target cannot be addressed, or the App's key is none.
            SecretMissingError: the App's key is not there.
            UnreachableError: no answer came.
        """
        async with self._asking[target]:
            known = self._known.get(target)
            if known is None or known.expires_at.timestamp() - time.time() < _SPARE:
                known = self._known[target] = await _ask(target, reveal, poster)
            return known.token

    def forget(self, target: Target, token: str) -> None:
        """GitHub does not take ``token`` any more. One that somebody else has got meanwhile is kept."""
        known = self._known.get(target)
        if known is not None and known.token == token:
            del self._known[target]


async def _ask(target: Target, reveal: Callable[[SecretReference], str], poster: Poster) -> InstallationToken:
    assert target.app is not None
    request = token_request(target.url, target.app.installation, target.repository)
    proof = app_proof(target.app.id, reveal(target.app.key), time.time())
    headers = request.headers_with(proof) | {"Content-Type": "application/json"}
    reply = await poster.post(request.url, headers, msgspec.json.encode(request.body), hide=proof)
    answer = read_answer(reply.code, reply.headers, reply.body, time.time(), TOKEN_ADVICE)
    if not isinstance(answer, Taken):
        said = answer.reason.replace(proof, REDACTED)
        raise NoTokenError(msgspec.structs.replace(answer, reason=f"no token for the GitHub App: {said}"))
    token = read_token(reply.body)
    if token is None:
        # Its body is not shown: it may be a token all the same.
        raise NoTokenError(
            Later("no token for the GitHub App: the answer holds none; is url that of GitHub's API?")
        )
    return token
