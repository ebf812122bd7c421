"""Asking a forge how one pull request stands, with the same right that statuses are set with."""

import asyncio
import time

from fc.base.errors import SecretMissingError, StatusError
from fc.base.secrets import Secrets
from fc.forge.events import Forge
from fc.forge.pull_requests import PULL_REQUEST_ADVICE, PullRequestState, read_state, state_request
from fc.forge.status_answers import Later, Refused, Taken, read_answer
from fc.report.installation_tokens import InstallationTokens, NoTokenError
from fc.report.post import Poster, UnreachableError
from fc.report.target import SecretReference, Target

_LARGEST_ANSWER = 2 << 20
"""Bytes; the description of a pull request is in it."""
_NO_STATE = Later("the answer is about no such pull request; is url that of the forge's API?", down=True)
_NO_RIGHT = Refused("report names neither a token nor an App, so its forge cannot be asked")
_NOT_FOUND = 404


class Gone(Refused, frozen=True):
    """The forge does not have it, or does not show it: that says nothing about the other pull requests."""


class Asker:
    """Asks, with connections and tokens of its own."""

    def __init__(self, secrets: Secrets, poster: Poster) -> None:
        self._secrets = secrets
        self._poster = poster
        self._tokens = InstallationTokens()

    async def ask(self, forge: Forge, target: Target, number: int) -> PullRequestState | Later | Refused:
        """How pull request ``number`` of the repository of ``target`` stands, or why that cannot be known now."""
        try:
            async with asyncio.timeout(self._poster.longest):
                return await self._ask(forge, target, number)
        except StatusError as error:
            return Refused(str(error))
        except SecretMissingError as error:
            return Later(str(error))
        except UnreachableError as error:
            return Later(str(error), down=True)
        except NoTokenError as error:
            return error.answer if not isinstance(error.answer, Taken) else _NO_STATE
        except TimeoutError:
            return Later(f"not all answers within {self._poster.longest:g} s", down=True)

    async def _ask(self, forge: Forge, target: Target, number: int) -> PullRequestState | Later | Refused:
        if target.token is not None:
            return await self._with(self._reveal(target.token), forge, target, number)
        if target.app is None or forge != "github":
            return _NO_RIGHT
        token = await self._tokens.token(target, self._reveal, self._poster)
        answer = await self._with(token, forge, target, number)
        if isinstance(answer, Refused) and answer.unauthorised:
            # It may have ended, or been revoked, since GitHub gave it: a new one is asked for, once.
            self._tokens.forget(target, token)
            token = await self._tokens.token(target, self._reveal, self._poster)
            answer = await self._with(token, forge, target, number)
        return answer

    async def _with(
        self, token: str, forge: Forge, target: Target, number: int
    ) -> PullRequestState | Later | Refused:
        request = state_request(forge, target.url, target.repository, number)
        reply = await self._poster.request(
            request.method,
            request.url,
            request.headers_with(token),
            None,
            hide=token,
            largest=_LARGEST_ANSWER,
        )
        answer = read_answer(reply.code, reply.headers, reply.body, time.time(), PULL_REQUEST_ADVICE)
        if isinstance(answer, Taken):
            return read_state(forge, reply.body, number) or _NO_STATE
        if reply.code == _NOT_FOUND and isinstance(answer, Refused):
            return Gone(answer.reason)
        return answer

    def _reveal(self, reference: SecretReference) -> str:
        return self._secrets.resolve(reference.secret)
