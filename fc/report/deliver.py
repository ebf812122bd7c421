"""One task to its target, whatever its kind: what came of it, in words that hold no secret."""

import msgspec

from fc.base.errors import SecretMissingError, StatusError
from fc.base.secrets import REDACTED, Secrets
from fc.forge.status_answers import Answer, Later, Refused, Taken
from fc.report.post import Poster, UnreachableError
from fc.report.queue import Task
from fc.report.status import send_status
from fc.report.target import FORGE_OF, SecretReference, Target
from fc.report.webhook import send_event


class _Resolver:
    """Finds secrets and remembers them, to keep them out of messages."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._found: list[str] = []

    def reveal(self, reference: SecretReference) -> str:
        value = self._secrets.reveal(msgspec.to_builtins(reference))
        self._found.append(value)
        return value

    def redact(self, text: str) -> str:
        for value in self._found:
            text = text.replace(value, REDACTED)
        return text


async def deliver(task: Task, secrets: Secrets, poster: Poster) -> Answer:
    """Send ``task``. Whether to try again is decided elsewhere; a refusal is for ever."""
    if not task.wanted:
        return Refused("this notification is not in the configuration any more, or is switched off there")
    resolver = _Resolver(secrets)
    answer = await _attempt(task, resolver, poster)
    if isinstance(answer, Taken):
        return answer
    return msgspec.structs.replace(answer, reason=resolver.redact(answer.reason))


async def _attempt(task: Task, resolver: _Resolver, poster: Poster) -> Answer:
    content = task.payload["content"]
    target = msgspec.convert(task.payload["target"], Target)
    try:
        if task.kind in FORGE_OF:
            return await send_status(FORGE_OF[task.kind], target, content, resolver.reveal, poster)
        if task.kind == "webhook":
            return await send_event(task.id, target, content, resolver.reveal, poster)
    except StatusError as error:
        return Refused(str(error))
    except SecretMissingError as error:
        # It may be put in place without any change of configuration.
        return Later(str(error))
    except UnreachableError as error:
        return Later(str(error), down=True)
    return Refused(f"{task.kind} is not sent by this version of FC")
