"""What a forge answers to a status: taken, try again later, or never."""

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TypeAlias

import msgspec

from fc.forge.signatures import find_header

LONGEST_WAIT = 7200.0
"""Seconds; GitHub's hourly limit is the longest real one. A forge cannot make FC wait for ever."""
_SECONDARY_LIMIT_WAIT = 60.0
"""What GitHub asks for when it names no time."""
_LONGEST_MESSAGE = 200

_RATE_LIMIT_WORDS = re.compile(r"rate limit|abuse|too many", re.IGNORECASE)
_SAME_STATE = re.compile(r"Cannot transition status via :(?:enqueue|run) ")


class Taken(msgspec.Struct, frozen=True):
    """The forge shows the status."""


class Later(msgspec.Struct, frozen=True):
    """It may work later."""

    reason: str
    after: float | None = None
    """Seconds the forge asks to wait; none: it does not say."""
    limited: bool = False
    """It is a rate limit: it holds for everything sent with the same token, and is no failed attempt."""
    down: bool = False
    """Nothing else gets through to this host either."""


class Refused(msgspec.Struct, frozen=True):
    """It will never work as it is."""

    reason: str
    """With what to do about it."""
    unauthorised: bool = False
    """The token is not accepted: one that ends by itself may have ended."""


Answer: TypeAlias = Taken | Later | Refused

STATUS_ADVICE: Mapping[int, str] = {
    401: "the token is not accepted; put a valid one into the secret",
    403: "the token may not set commit statuses there; give it that right (GitHub: commit statuses, write; "
    "Gitea, Forgejo: write:repository; GitLab: api)",
    404: "there is no such repository or commit, or the token may not see it; check repository, url and token",
    422: "the forge does not accept it; is the commit in this repository?",
}


def read_answer(
    code: int,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    advice: Mapping[int, str] = STATUS_ADVICE,
) -> Answer:
    """What the answer to a status means, on every forge.

    Args:
        code: HTTP status.
        headers: in any case.
        body: as much of it as was read.
        now: seconds since 1970, to compare with the forge's reset times.
        advice: what to do about a refusal, by HTTP status.
    """
    said = _message(body)
    for rule in _RULES:
        answer = rule(code, headers, said, now)
        if answer is not None:
            return answer
    todo = advice.get(code, "the forge does not accept it; check url and repository")
    return Refused(_sentence(code, said, todo), unauthorised=code == 401)  # noqa: PLR2004 - RFC 9110 section 15.5.2


def _taken(code: int, _headers: Mapping[str, str], said: str | None, _now: float) -> Answer | None:
    if code == 400 and said is not None and _SAME_STATE.search(said):  # noqa: PLR2004 - GitLab's answer to a state it is in already, or has passed
        return Taken()
    if not 200 <= code < 300:  # noqa: PLR2004 - the class of successes, RFC 9110 section 15.3
        return None
    # Every forge answers with the status as JSON. Anything else is a login page, a proxy, or not a forge.
    return (
        Taken() if said is not None else Later(f"HTTP {code}, but the answer is not a forge's; is url right?")
    )


def _moved(code: int, _headers: Mapping[str, str], _said: str | None, _now: float) -> Answer | None:
    if not 300 <= code < 400:  # noqa: PLR2004 - redirects, RFC 9110 section 15.4
        return None
    return Refused(
        f"HTTP {code}: it is elsewhere now, and a token is not sent after a redirect; "
        "was the repository renamed? Write its new name, or the forge's final url"
    )


def _limited(code: int, headers: Mapping[str, str], said: str | None, now: float) -> Answer | None:
    """https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api, and RFC 6585 section 4."""
    if code not in {403, 429}:
        return None
    wait = _retry_after(headers, now)
    if wait is None and _number(headers, "X-RateLimit-Remaining") == 0:
        wait = _until(headers, "X-RateLimit-Reset", now)
    if wait is None and code == 429:  # noqa: PLR2004 - Too Many Requests
        wait = _until(headers, "RateLimit-Reset", now)
    if wait is None and (code == 429 or _RATE_LIMIT_WORDS.search(said or "")):  # noqa: PLR2004 - as above
        wait = _SECONDARY_LIMIT_WAIT
    return None if wait is None else Later(_sentence(code, said, "rate limit"), after=wait, limited=True)


def _unavailable(code: int, headers: Mapping[str, str], said: str | None, now: float) -> Answer | None:
    # 408 timeout, 409 two writers at once, 425 too early: the next try may find it otherwise.
    if code < 500 and code not in {408, 409, 425}:  # noqa: PLR2004 - server errors begin here
        return None
    reason = _sentence(code, said, "the forge has a problem")
    # Behind a 500 may be one repository alone; a gateway speaks for the whole host.
    return Later(reason, after=_retry_after(headers, now), down=code in {502, 503, 504})


_RULES: tuple[Callable[[int, Mapping[str, str], str | None, float], Answer | None], ...] = (
    _taken,
    _moved,
    _limited,
    _unavailable,
)


def _sentence(code: int, said: str | None, advice: str) -> str:
    return f"HTTP {code}: {said}; {advice}" if said else f"HTTP {code}: {advice}"


def _message(body: bytes) -> str | None:
    """What a JSON object says under ``message`` or ``error``, on one line; none: it is no JSON object."""
    try:
        answer = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    said = answer.get("message") or answer.get("error") or ""
    text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
    return " ".join(text.split())[:_LONGEST_MESSAGE]


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """RFC 9110 section 10.2.3: seconds, or a date."""
    value = find_header(headers, "Retry-After")
    if value is None:
        return None
    seconds = _number(headers, "Retry-After")
    if seconds is None:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return _bounded(seconds)


def _until(headers: Mapping[str, str], name: str, now: float) -> float | None:
    at = _number(headers, name)
    return None if at is None else _bounded(at - now)


def _number(headers: Mapping[str, str], name: str) -> float | None:
    value = (find_header(headers, name) or "").strip()
    return float(value) if value.isascii() and value.isdecimal() and len(value) <= 15 else None  # noqa: PLR2004 - more digits are no time


def _bounded(seconds: float) -> float:
    return min(max(seconds, 1.0), LONGEST_WAIT)
