"""What a running Hydra has, read through its JSON API: projects, then their jobsets."""

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import msgspec

from fc.base.errors import FcError

MOST_BYTES = 16 << 20
"""Of one answer."""
MOST_REQUESTS = 20_000
_TIMEOUT_SECONDS = 30.0
_LONGEST_SECONDS = 1800.0
"""For all of it."""
_ONE_JOBSET = re.compile(r"(.*)/jobset/([^/]+)/([^/]+)/?")
_ONE_PROJECT = re.compile(r"(.*)/project/([^/]+)/?")

Told = dict[str, Any]


class HydraError(FcError):
    """A Hydra cannot be read. Says which page, and why."""

    status = 502
    code = "hydra"


def read_server(url: str, progress: Callable[[str], None]) -> list[tuple[Told, Told]]:
    """Projects with their jobsets, as the server tells them. ``url``: of the server, of a project or of a jobset.

    Raises:
        HydraError: it does not answer, or not like a Hydra; or there is too much of it.
    """
    try:
        with httpx.Client(
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=True,
            max_redirects=5,
            headers={"Accept": "application/json", "User-Agent": "fcctl"},
        ) as client:
            return _Reader(client, progress).read(url)
    except (httpx.InvalidURL, ValueError, UnicodeError):
        message = "this is no URL of a Hydra: expected https://HOST, https://HOST/project/NAME or …/jobset/PROJECT/NAME"
        raise HydraError(message) from None


class _Reader:
    """Asks one page after another, within limits."""

    def __init__(self, client: httpx.Client, progress: Callable[[str], None]) -> None:
        self._client = client
        self._progress = progress
        self._requests = 0
        self._deadline = time.monotonic() + _LONGEST_SECONDS

    def read(self, url: str) -> list[tuple[Told, Told]]:
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        one_jobset, one_project = _ONE_JOBSET.fullmatch(path), _ONE_PROJECT.fullmatch(path)
        found = one_jobset or one_project
        base = f"{parts.scheme}://{parts.netloc}{found[1] if found else path}"
        if found is None:
            listed = self._ask(f"{base}/")
            if not isinstance(listed, list):
                raise HydraError(_unlike("/"))
            names = [
                one["name"] for one in listed if isinstance(one, dict) and isinstance(one.get("name"), str)
            ]
        else:
            names = [unquote(found[2])]
        only = unquote(one_jobset[3]) if one_jobset else None
        projects = []
        for number, name in enumerate(dict.fromkeys(names), 1):
            projects.append(self._project(base, name, only))
            self._progress(f"{number} of {len(names)}: project {name[:80]!r}, {len(projects[-1][1])} jobsets")
        return projects

    def _project(self, base: str, name: str, only: str | None) -> tuple[Told, Told]:
        told = self._ask(f"{base}/project/{quote(name, safe='')}")
        if not isinstance(told, dict):
            raise HydraError(_unlike(f"/project/{name[:80]}"))
        listed = told.get("jobsets")
        names = (
            [only]
            if only
            else [one for one in listed if isinstance(one, str)]
            if isinstance(listed, list)
            else []
        )
        jobsets = {}
        for one in dict.fromkeys(names):
            if one == ".jobsets":
                continue
            jobset = self._ask(f"{base}/jobset/{quote(name, safe='')}/{quote(one, safe='')}")
            if isinstance(jobset, dict):
                jobsets[one] = jobset
        return {"name": name, **told}, jobsets

    def _ask(self, url: str) -> Any:
        """The JSON at ``url``.

        Raises:
            HydraError: there is none.
        """
        self._requests += 1
        path = urlsplit(url).path[:160]
        if self._requests > MOST_REQUESTS or time.monotonic() > self._deadline:
            message = f"there is too much of it: stopped after {self._requests - 1} requests; import project by project"
            raise HydraError(message)
        data = bytearray()
        try:
            with self._client.stream("GET", url) as answer:
                if not answer.is_success:
                    message = f"{path}: the server answered {answer.status_code}"
                    raise HydraError(message)
                for part in answer.iter_bytes():
                    data += part
                    if len(data) > MOST_BYTES or time.monotonic() > self._deadline:
                        message = f"{path}: the answer is too large or too slow"
                        raise HydraError(message)
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            message = f"{path}: the server does not answer ({type(error).__name__})"
            raise HydraError(message) from None
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise HydraError(_unlike(path)) from None


def _unlike(path: str) -> str:
    return f"{path}: this is not what a Hydra answers; is the URL that of its first page?"
