"""GitHub's check runs: from what is to be said to requests, each with no more annotations than one may have.

Source: https://docs.github.com/en/rest/checks/runs. Only a GitHub App may write them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from fc.forge.github import HEADERS
from fc.forge.status_messages import ForgeRequest, full_commit, join_url, short, split_owner

ANNOTATIONS_PER_REQUEST = 50
LONGEST_NAME = 255
LONGEST_TITLE = 255
LONGEST_SUMMARY = 65_535
"""Bytes, to be on the safe side of "characters"."""
_LONGEST_MESSAGE = 2_000
"""GitHub takes 64 KB; nobody reads that beside a line."""

Conclusion = Literal["success", "failure", "neutral", "action_required"]

CHECK_ADVICE: Mapping[int, str] = {
    401: "the App's token is not accepted; is the App still installed there?",
    403: "the App may not write check runs there; give it the permission checks: write, and accept it where it is installed",
    404: "there is no such repository, or the App is not installed on it; check repository, url and app.installation",
    422: "GitHub does not accept it; is the commit in this repository?",
}


class Annotation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A remark at one line."""

    path: str
    """From the top of the repository."""
    line: int
    """From 1."""
    column: int | None = None
    """From 1."""
    level: Literal["notice", "warning", "failure"]
    title: str
    message: str


class CheckRun(msgspec.Struct, frozen=True, kw_only=True):
    """A check of one commit. A later one of the same name takes its place."""

    name: str
    sha: str
    repository: str
    """``owner/name``."""
    conclusion: Conclusion | None
    """None: it is not finished."""
    title: str
    summary: str
    """Markdown."""
    details_url: str
    annotations: tuple[Annotation, ...] = ()
    again: int = 0
    """How often somebody asked for it to be made again: each time it is another run, though it say the same."""

    @property
    def external_id(self) -> str:
        """Names what is said: the same words have the same one, so a run that was begun is found again."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


class KnownRun(msgspec.Struct, frozen=True):
    """A check run that GitHub has."""

    id: int
    external_id: str
    finished: bool
    annotations: int
    """How many of them it has."""


class _App(msgspec.Struct):
    id: int


class _Output(msgspec.Struct):
    annotations_count: int = 0


class _Run(msgspec.Struct):
    id: int
    status: str
    external_id: str | None = None
    app: _App | None = None
    output: _Output = msgspec.field(default_factory=_Output)


class _Runs(msgspec.Struct):
    check_runs: list[_Run]


def find_request(base_url: str, run: CheckRun) -> ForgeRequest:
    """GET /repos/{owner}/{repo}/commits/{ref}/check-runs: the latest runs of this name.

    Raises:
        StatusError: the base URL, the repository or the commit is not what it must be.
    """
    name = quote(short(run.name, LONGEST_NAME, distinct=True), safe="")
    path = f"/commits/{full_commit(run.sha)}/check-runs?check_name={name}&filter=latest&per_page=20"
    return _request(base_url, run.repository, path, "GET", {})


def latest_run(body: bytes, app_id: int) -> KnownRun | None:
    """The latest run of the App in GitHub's answer; none: there is none.

    Raises:
        msgspec.DecodeError: it is no list of check runs.
    """
    found = [
        run
        for run in msgspec.json.decode(body, type=_Runs).check_runs
        if run.app is not None and run.app.id == app_id
    ]
    if not found:
        return None
    run = max(found, key=lambda one: one.id)
    return KnownRun(run.id, run.external_id or "", run.status == "completed", run.output.annotations_count)


def written_run(body: bytes, run: CheckRun, known: KnownRun | None) -> KnownRun:
    """What GitHub has after it took ``next_request`` of the same ``run`` and ``known``; ``body`` is its answer.

    Raises:
        msgspec.DecodeError: the answer is no check run.
    """
    there = min(_there(run, known) + ANNOTATIONS_PER_REQUEST, len(run.annotations))
    written = msgspec.json.decode(body, type=_Run)
    return KnownRun(written.id, run.external_id, run.conclusion is not None, there)


def next_request(base_url: str, run: CheckRun, known: KnownRun | None, now: float) -> ForgeRequest | None:
    """What to send next, given what GitHub has; none: it has all of it.

    A run that is finished and says something else is left, since annotations are only ever added: a new one takes
    its place. One that was not finished has none, and becomes this one. One of the same words was begun by somebody
    who did not get to its end: it gets what is missing.

    Args:
        base_url: of the API.
        run: what is to be said.
        known: the latest run of this name that GitHub has.
        now: seconds since 1970.

    Raises:
        StatusError: the base URL, the repository or the commit is not what it must be.
    """
    same = known is not None and known.external_id == run.external_id
    fields = {"name": short(run.name, LONGEST_NAME, distinct=True)} | _fields(run, _there(run, known), now)
    if known is None or (known.finished and not same):
        fields |= {"head_sha": full_commit(run.sha)}
        return _request(base_url, run.repository, "/check-runs", "POST", fields)
    if same and known.annotations >= len(run.annotations):
        return None
    return _request(base_url, run.repository, f"/check-runs/{known.id}", "PATCH", fields)


def _there(run: CheckRun, known: KnownRun | None) -> int:
    """How many of the run's annotations GitHub has."""
    return known.annotations if known is not None and known.external_id == run.external_id else 0


def _fields(run: CheckRun, there: int, now: float) -> dict[str, Any]:
    """What both creating and updating take, with the annotations after the first ``there``."""
    time = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    finished = run.conclusion is not None
    return {
        "external_id": run.external_id,
        "details_url": run.details_url,
        "status": "completed" if finished else "in_progress",
        **({"conclusion": run.conclusion, "completed_at": time} if finished else {"started_at": time}),
        "output": {
            "title": short(run.title, LONGEST_TITLE),
            "summary": _cut(run.summary),
            "annotations": _annotations(run.annotations[there : there + ANNOTATIONS_PER_REQUEST]),
        },
    }


def _annotations(annotations: Sequence[Annotation]) -> list[dict[str, Any]]:
    return [
        {
            "path": one.path,
            "start_line": one.line,
            "end_line": one.line,
            **({} if one.column is None else {"start_column": one.column, "end_column": one.column}),
            "annotation_level": one.level,
            "title": short(one.title, LONGEST_TITLE),
            "message": short(one.message, _LONGEST_MESSAGE),
        }
        for one in annotations
    ]


def _cut(summary: str) -> str:
    return summary.encode("utf-8", "replace")[:LONGEST_SUMMARY].decode("utf-8", "ignore")


def _request(
    base_url: str,
    repository: str,
    path: str,
    method: Literal["GET", "POST", "PATCH"],
    body: Mapping[str, Any],
) -> ForgeRequest:
    owner, name = split_owner(repository)
    return ForgeRequest(
        url=join_url(base_url, "", f"/repos/{owner}/{name}{path}"),
        headers=HEADERS,
        token_header="Authorization",  # noqa: S106 - the name of a header, no token
        token_prefix="Bearer ",  # noqa: S106 - what stands before a token
        method=method,
        body=body,
    )
