"""Requests that make a check run."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from fc.base.errors import StatusError
from fc.forge.github_checks import (
    Annotation,
    CheckRun,
    KnownRun,
    find_request,
    latest_run,
    next_request,
    written_run,
)
from fc.forge.status_messages import ForgeRequest

API = "https://api.github.com"
SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
NOW = 1_800_000_000.0
RUN = CheckRun(
    name="fc/plan/team a",
    sha=SHA,
    repository="ops/fc",
    conclusion="success",
    title="Nothing would change",
    summary="Nothing would change.",
    details_url="https://fc.example.org/x",
)


def remarks(count: int) -> tuple[Annotation, ...]:
    return tuple(
        Annotation(path="a.yaml", line=number, level="notice", title="t", message="m")
        for number in range(1, count + 1)
    )


def sent(run: CheckRun, known: KnownRun | None) -> ForgeRequest:
    request = next_request(API, run, known, NOW)
    assert request is not None
    return request


def lines(body: Mapping[str, Any]) -> list[int]:
    return [one["start_line"] for one in body["output"]["annotations"]]


def test_a_run_that_is_wanted_again_is_another_one_of_the_same_words() -> None:
    again = msgspec.structs.replace(RUN, again=1)
    before = KnownRun(7, RUN.external_id, finished=True, annotations=0)
    assert next_request(API, RUN, before, NOW) is None
    assert (sent(again, before).method, sent(again, before).body["conclusion"]) == ("POST", "success")
    assert next_request(API, again, KnownRun(8, again.external_id, finished=True, annotations=0), NOW) is None


def test_the_latest_runs_of_the_name_are_asked_for() -> None:
    request = find_request(API, RUN)
    assert request.method == "GET"
    assert request.url == (
        f"{API}/repos/ops/fc/commits/{SHA}/check-runs?check_name=fc%2Fplan%2Fteam%20a&filter=latest&per_page=20"
    )
    with pytest.raises(StatusError, match="full commit hash"):
        find_request(API, msgspec.structs.replace(RUN, sha="../x"))


def test_the_latest_run_of_the_app_is_found() -> None:
    runs = [
        {
            "id": 1,
            "status": "completed",
            "external_id": "a",
            "app": {"id": 5},
            "output": {"annotations_count": 9},
        },
        {"id": 3, "status": "in_progress", "external_id": None, "app": {"id": 5}},
        {"id": 7, "status": "completed", "external_id": "b", "app": {"id": 6}},
        {"id": 8, "status": "completed", "app": None},
    ]
    body = msgspec.json.encode({"total_count": 4, "check_runs": runs})
    assert latest_run(body, 5) == KnownRun(3, "", finished=False, annotations=0)
    assert latest_run(msgspec.json.encode({"check_runs": runs[:1]}), 5) == KnownRun(1, "a", True, 9)
    assert latest_run(body, 4) is None
    with pytest.raises(msgspec.DecodeError):
        latest_run(b"<html>", 5)


def test_a_run_is_created_with_all_that_it_says() -> None:
    remark = Annotation(
        path="conf/a.yaml",
        line=3,
        column=4,
        level="failure",
        title="x" * 300,
        message="one\ntwo " + "y" * 3000,
    )
    request = sent(msgspec.structs.replace(RUN, conclusion="failure", annotations=(remark,)), None)
    assert (request.method, request.url) == ("POST", f"{API}/repos/ops/fc/check-runs")
    body = dict(request.body)
    output = body.pop("output")
    assert len(body.pop("external_id")) == 64
    assert body == {
        "name": "fc/plan/team a",
        "head_sha": SHA,
        "details_url": "https://fc.example.org/x",
        "status": "completed",
        "conclusion": "failure",
        "completed_at": "2027-01-15T08:00:00Z",
    }
    (shown,) = output["annotations"]
    assert (shown["start_column"], shown["end_column"], shown["start_line"], shown["end_line"]) == (
        4,
        4,
        3,
        3,
    )
    assert (shown["annotation_level"], len(shown["title"]), len(shown["message"])) == ("failure", 255, 2000)
    assert shown["message"].startswith("one two y")


def test_a_run_that_is_not_finished_says_when_it_began() -> None:
    body = sent(msgspec.structs.replace(RUN, conclusion=None), None).body
    assert (body["status"], body["started_at"]) == ("in_progress", "2027-01-15T08:00:00Z")
    assert "conclusion" not in body
    assert "completed_at" not in body


def test_many_annotations_go_by_fifties() -> None:
    run = msgspec.structs.replace(RUN, annotations=remarks(120))
    known: KnownRun | None = None
    requests = []
    while (request := next_request(API, run, known, NOW)) is not None:
        requests.append(request)
        known = written_run(b'{"id": 9, "status": "completed"}', run, known)
    assert known == KnownRun(9, run.external_id, True, 120)
    assert [(one.method, one.url.rpartition("/")[2]) for one in requests] == [
        ("POST", "check-runs"),
        ("PATCH", "9"),
        ("PATCH", "9"),
    ]
    assert [line for one in requests for line in lines(one.body)] == list(range(1, 121))
    assert [len(lines(one.body)) for one in requests] == [50, 50, 20]
    assert all(
        "columns" not in one and "start_column" not in one
        for one in requests[0].body["output"]["annotations"]
    )


def test_what_a_dead_sender_began_is_completed() -> None:
    run = msgspec.structs.replace(RUN, annotations=remarks(60))
    request = sent(run, KnownRun(9, run.external_id, finished=True, annotations=50))
    assert (request.method, lines(request.body)) == ("PATCH", list(range(51, 61)))
    assert next_request(API, run, KnownRun(9, run.external_id, finished=True, annotations=60), NOW) is None


def test_a_run_that_waits_becomes_what_is_said_now_and_a_finished_one_is_replaced() -> None:
    run = msgspec.structs.replace(RUN, annotations=remarks(2))
    waiting = sent(run, KnownRun(9, "other", finished=False, annotations=0))
    assert (waiting.method, lines(waiting.body)) == ("PATCH", [1, 2])
    assert "head_sha" not in waiting.body
    replaced = sent(run, KnownRun(9, "other", finished=True, annotations=2))
    assert (replaced.method, lines(replaced.body)) == ("POST", [1, 2])


def test_other_words_are_another_run() -> None:
    assert RUN.external_id != msgspec.structs.replace(RUN, summary="x").external_id
    assert RUN.external_id == msgspec.structs.replace(RUN).external_id


def test_an_answer_that_is_no_run_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        written_run(b"{}", RUN, None)


def test_no_summary_is_longer_than_allowed_and_none_is_cut_within_a_character() -> None:
    body = sent(msgspec.structs.replace(RUN, summary="é" * 40_000), None).body
    assert len(body["output"]["summary"].encode()) == 65_534
