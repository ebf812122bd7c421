"""One task to its target, whatever its kind: what came of it, in words that hold no secret."""

import asyncio

import msgspec

from fc.base.errors import SecretMissingError, StatusError
from fc.base.secrets import REDACTED, Secrets
from fc.forge.status_answers import Answer, Later, Refused, Taken
from fc.report.check_run import send_check
from fc.report.installation_tokens import InstallationTokens, NoTokenError
from fc.report.post import Poster, UnreachableError
from fc.report.queue import Task
from fc.report.status import send_status
from fc.report.target import FORGE_OF, SecretReference, Target
from fc.report.webhook import send_event

_NO_RIGHT = (
    "report in the settings of this configuration repository names no token; give it one (token: name of a secret), "
    "or at GitHub an App (app: {id, installation, key})"
)


class _Resolver:
    """Finds secrets and remembers them, to keep them out of messages."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._found: list[str] = []

    def reveal(self, reference: SecretReference) -> str:
        value = self._secrets.reveal(msgspec.to_builtins(reference))
        self._found.append(value)
        return value

    def remember(self, value: str) -> None:
        """Another value that no message may show."""
        self._found.append(value)

    def redact(self, text: str) -> str:
        for value in self._found:
            text = text.replace(value, REDACTED)
        return text


async def deliver(task: Task, secrets: Secrets, poster: Poster, tokens: InstallationTokens) -> Answer:
    """Send ``task``. Whether to try again is decided elsewhere; a refusal is for ever."""
    if not task.wanted:
        where = "settings" if task.config_source is not None else "configuration"
        return Refused(f"this notification is not in the {where} any more, or is switched off there")
    resolver = _Resolver(secrets)
    answer = await _attempt(task, resolver, poster, tokens)
    if isinstance(answer, Taken):
        return answer
    return msgspec.structs.replace(answer, reason=resolver.redact(answer.reason))


async def _attempt(task: Task, resolver: _Resolver, poster: Poster, tokens: InstallationTokens) -> Answer:
    target = msgspec.convert(task.payload["target"], Target)
    try:
        return await _send(task, target, resolver, poster, tokens)
    except StatusError as error:
        return Refused(str(error))
    except SecretMissingError as error:
        # It may be put in place without any change of configuration.
        return Later(str(error))
    except UnreachableError as error:
        return Later(str(error), down=True)
    except NoTokenError as error:
        return error.answer


async def _send(
    task: Task, target: Target, resolver: _Resolver, poster: Poster, tokens: InstallationTokens
) -> Answer:
    content = task.payload["content"]
    by_app = task.kind == "github_status" and target.token is None
    if target.app is not None and (by_app or task.kind == "github_check"):
        return await _send_as_app(task, target, resolver, poster, tokens)
    if task.kind in FORGE_OF:
        if target.token is None and task.config_source is not None:
            return Refused(_NO_RIGHT)
        return await send_status(FORGE_OF[task.kind], target, content, resolver.reveal, poster)
    if task.kind == "webhook":
        return await send_event(task.id, target, content, resolver.reveal, poster)
    return Refused(f"{task.kind} is not sent by this version of FC")


async def _send_as_app(
    task: Task, target: Target, resolver: _Resolver, poster: Poster, tokens: InstallationTokens
) -> Answer:
    """Send with the token of a GitHub App, all requests together within the time of one, for the lease's sake."""

    async def once() -> tuple[Answer, str]:
        token = await tokens.token(target, resolver.reveal, poster)
        resolver.remember(token)
        content = task.payload["content"]
        if task.kind == "github_check":
            return await send_check(target, content, token, poster), token
        return await send_status("github", target, content, resolver.reveal, poster, token), token

    try:
        async with asyncio.timeout(poster.longest):
            answer, token = await once()
            if isinstance(answer, Refused) and answer.unauthorised:
                # It may have ended, or been revoked, since GitHub gave it: a new one is asked for, once.
                tokens.forget(target, token)
                answer, _ = await once()
            return answer
    except TimeoutError:
        message = f"not all answers within {poster.longest:g} s"
        raise UnreachableError(message) from None
