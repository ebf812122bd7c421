"""Sending check runs to GitHub: found, begun or completed."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from fc.forge.github_checks import (
    CHECK_ADVICE,
    CheckRun,
    KnownRun,
    find_request,
    latest_run,
    next_request,
    written_run,
)
from fc.forge.status_answers import Answer, Later, Taken, read_answer
from fc.forge.status_messages import ForgeRequest
from fc.report.post import Poster, Reply
from fc.report.target import Target

_LARGEST_ANSWER = 2 << 20
"""Bytes; GitHub answers with the whole summary, and lists up to twenty runs."""
_NO_RUN = Later("GitHub's answer is no check run; is url that of its API?")


async def send_check(target: Target, content: Mapping[str, Any], token: str, poster: Poster) -> Answer:
    """Make the check run ``content`` stand at ``target``: a status with a conclusion, a summary and annotations.

    What was begun by a sender that died is completed, not begun again.

    Raises:
        StatusError: the target cannot be addressed as it is configured.
        UnreachableError: an answer did not come.
    """
    assert target.app is not None
    run = msgspec.convert(
        {
            "name": content["context"],
            "sha": content["sha"],
            "repository": target.repository,
            "conclusion": content["conclusion"],
            "title": content["description"],
            "summary": content["summary"],
            "details_url": content["target_url"],
            "annotations": content["annotations"],
            "again": content.get("again", 0),
        },
        CheckRun,
    )
    answer, reply = await _ask(find_request(target.url, run), token, poster)
    if not isinstance(answer, Taken):
        return answer
    try:
        known: KnownRun | None = latest_run(reply.body, target.app.id)
        while (request := next_request(target.url, run, known, time.time())) is not None:
            answer, reply = await _ask(request, token, poster)
            if not isinstance(answer, Taken):
                return answer
            known = written_run(reply.body, run, known)
    except msgspec.MsgspecError:
        return _NO_RUN
    return Taken()


async def _ask(request: ForgeRequest, token: str, poster: Poster) -> tuple[Answer, Reply]:
    headers = request.headers_with(token)
    body = None
    if request.method != "GET":
        headers["Content-Type"] = "application/json"
        body = msgspec.json.encode(request.body)
    reply = await poster.request(
        request.method, request.url, headers, body, hide=token, largest=_LARGEST_ANSWER
    )
    return read_answer(reply.code, reply.headers, reply.body, time.time(), CHECK_ADVICE), reply
