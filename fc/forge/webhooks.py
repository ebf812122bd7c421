"""Webhooks of every forge: who sent it, what it says, and the id of its delivery."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec

from fc.base.errors import WebhookError
from fc.forge import gitea, github, gitlab
from fc.forge.events import Event, Forge
from fc.forge.signatures import find_header

_DELIVERY_ID = re.compile(r"[\x21-\x7e]{1,200}")
_EVENT_NAME = re.compile(r"[\x20-\x7e]{1,100}")


class _Dialect(NamedTuple):
    """How one forge speaks."""

    verify: Callable[[Mapping[str, str], bytes, str], None]
    parse: Callable[[str, bytes], Event]
    event_headers: tuple[str, ...]
    delivery_headers: tuple[str, ...]


_DIALECTS: dict[Forge, _Dialect] = {
    "github": _Dialect(github.verify, github.parse, github.EVENT_HEADERS, github.DELIVERY_HEADERS),
    "gitea": _Dialect(gitea.verify, gitea.parse, gitea.EVENT_HEADERS, gitea.DELIVERY_HEADERS),
    "forgejo": _Dialect(
        gitea.verify_forgejo, gitea.parse, gitea.FORGEJO_EVENT_HEADERS, gitea.FORGEJO_DELIVERY_HEADERS
    ),
    "gitlab": _Dialect(gitlab.verify, gitlab.parse, gitlab.EVENT_HEADERS, gitlab.DELIVERY_HEADERS),
}


def verify(forge: Forge, headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """Check that ``body`` was sent by who knows ``secret``. Call it before anything else looks at the body.

    Args:
        forge: whose webhook this is, by the address it came to.
        headers: of the request, in any case.
        body: as it came, not decoded.
        secret: what both sides know; empty: nothing is accepted.

    Raises:
        SignatureError: the signature is missing or wrong, or there is no secret.
    """
    _DIALECTS[forge].verify(headers, body, secret)


def parse(forge: Forge, headers: Mapping[str, str], body: bytes) -> Event:
    """What a webhook says. It must have been verified.

    Raises:
        WebhookError: it cannot be understood; says where, such as ``$.repository.full_name``.
    """
    name = event_name(forge, headers)
    try:
        return _DIALECTS[forge].parse(name, _json_text(headers, body))
    except RecursionError:
        raise WebhookError(forge, f"event {name!r}: the JSON is nested too deeply") from None
    except ValueError as error:
        # msgspec's own errors and those of decoding text and forms are all of this class.
        raise WebhookError(forge, f"event {name!r}: {error}") from None


def event_name(forge: Forge, headers: Mapping[str, str]) -> str:
    """What the forge calls this event.

    Raises:
        WebhookError: the header that says so is missing or unreadable.
    """
    wanted = _DIALECTS[forge].event_headers
    name = _first_header(headers, wanted)
    if name is None or not _EVENT_NAME.fullmatch(name):
        raise WebhookError(forge, f"the header {wanted[0]} is missing or unreadable")
    return name


def delivery_id(forge: Forge, headers: Mapping[str, str], body: bytes) -> str:
    """What tells this delivery from others and is the same when it is sent again.

    The forge's own id; where it sends none that is usable, the SHA-256 of the body.
    """
    own = _first_header(headers, _DIALECTS[forge].delivery_headers)
    if own is not None and _DELIVERY_ID.fullmatch(own):
        return own
    return hashlib.sha256(body).hexdigest()


def _first_header(headers: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := find_header(headers, name))), None)


def _json_text(headers: Mapping[str, str], body: bytes) -> bytes:
    """The JSON in ``body``: GitHub and Gitea can also be set to send it as a form's field ``payload``."""
    kind = find_header(headers, "Content-Type") or ""
    if not kind.lower().startswith("application/x-www-form-urlencoded"):
        return body
    fields = parse_qs(body.decode("ascii"), max_num_fields=16)
    if len(fields.get("payload", ())) != 1:
        message = "the form has no single field 'payload'"
        raise msgspec.ValidationError(message)
    return fields["payload"][0].encode("utf-8", "surrogatepass")
