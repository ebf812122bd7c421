"""Which statuses and events arise."""

import uuid
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.report.plan import (
    INDIVIDUAL_STATUSES,
    BuildFacts,
    EvaluationFacts,
    Message,
    Reported,
    build_event,
    build_status,
    evaluation_event,
    plan_events,
    plan_statuses,
    subjects,
    summarise,
)
from fc.tables.build_queries import BuildStatus
from fc.tables.evaluation_queries import EvaluationStatus
from fc.tables.project_queries import FAILED
from tests.report.rows import COMMIT

URL = "https://fc.example.org"
EVALUATION = EvaluationFacts(
    id=uuid.UUID(int=1),
    project="hello",
    jobset="main",
    commit=COMMIT,
    status="completed",
    total=3,
    succeeded=3,
)


def facts(**values: object) -> EvaluationFacts:
    return msgspec.structs.replace(EVALUATION, **values)


def build(number: int, status: BuildStatus) -> BuildFacts:
    return BuildFacts(uuid.UUID(int=number), f"job-{number}", status)


def said(evaluation: EvaluationFacts) -> tuple[str, str]:
    content = summarise(evaluation, URL).content
    return content["state"], content["description"]


def contexts(messages: list[Message]) -> list[str]:
    return [message.content["context"].rpartition("/")[2] for message in messages]


def reported(*messages: Message, undeliverable: bool = False) -> dict[str, Reported]:
    return {message.subject: Reported(message.content, undeliverable) for message in messages}


def test_a_build_s_status_names_project_jobset_and_job_and_leads_to_its_page() -> None:
    message = build_status(EVALUATION, build(7, "succeeded"), URL)
    assert message == Message(
        subject=f"{COMMIT} fc/hello/main/job-7",
        content={
            "state": "success",
            "context": "fc/hello/main/job-7",
            "description": "Built",
            "target_url": f"{URL}/builds/{uuid.UUID(int=7)}",
            "sha": COMMIT,
        },
        build_id=uuid.UUID(int=7),
    )


def test_the_summary_names_project_and_jobset_and_leads_to_the_evaluation() -> None:
    message = summarise(EVALUATION, URL)
    assert message.content["context"] == "fc/hello/main"
    assert message.content["target_url"] == f"{URL}/evaluations/{EVALUATION.id}"
    assert message.build_id is None


@pytest.mark.parametrize("status", get_args(BuildStatus))
def test_every_final_status_but_success_is_a_failure(status: BuildStatus) -> None:
    state = build(1, status).state
    if status in {"pending", "running", "succeeded", "cancelled"}:
        assert state == {"succeeded": "success"}.get(status, status)
    else:
        assert status in FAILED
        assert state in {"failure", "error"}


@pytest.mark.parametrize("status", ["cached_failure", "dependency_failed"])
def test_what_failed_before_or_by_a_dependency_is_a_failure(status: BuildStatus) -> None:
    assert build(1, status).state == "failure"


@pytest.mark.parametrize(
    ("evaluation", "expected"),
    [
        (facts(status="pending", total=0, succeeded=0), ("pending", "Being evaluated")),
        (facts(status="running", total=9, unfinished=9, succeeded=0), ("pending", "Being evaluated")),
        (facts(status="cancelled"), ("cancelled", "The evaluation was cancelled")),
        (facts(status="timed_out"), ("failure", "The evaluation took too long")),
        (
            facts(
                status="failed",
                error_message="\nerror:\n   … while calling x\nerror: undefined variable 'y'\n",
            ),
            ("failure", "The evaluation failed: error: undefined variable 'y'"),
        ),
        (
            facts(status="failed", error_message="no such branch\nx"),
            ("failure", "The evaluation failed: no such branch"),
        ),
        (facts(status="failed"), ("failure", "The evaluation failed: no reason was given")),
        (facts(), ("success", "Built 3 jobs")),
        (facts(total=1, succeeded=1), ("success", "Built 1 job")),
        (facts(total=0, succeeded=0), ("success", "There is nothing to build")),
        (facts(unfinished=2, succeeded=1), ("pending", "Building 3 jobs")),
        (facts(unfinished=1, succeeded=1), ("pending", "Building 3 jobs")),
        (facts(succeeded=2), ("failure", "1 of 3 jobs failed")),
        (facts(succeeded=1, cancelled=1), ("failure", "1 of 3 jobs failed, 1 cancelled")),
        (facts(succeeded=2, cancelled=1), ("cancelled", "1 cancelled")),
        (facts(succeeded=1, cancelled=1, aborted=1), ("error", "1 could not be carried out, 1 cancelled")),
        (facts(errors=1), ("failure", "1 job could not be evaluated")),
        (
            facts(errors=2, unfinished=3, succeeded=0),
            ("failure", "Building 3 jobs, 2 jobs could not be evaluated"),
        ),
        (facts(errors=1, succeeded=2), ("failure", "1 of 3 jobs failed, 1 job could not be evaluated")),
        (facts(total=100, succeeded=50), ("failure", "50 of 100 jobs failed (47 are listed)")),
    ],
)
def test_the_summary_says_how_the_evaluation_stands(
    evaluation: EvaluationFacts, expected: tuple[str, str]
) -> None:
    assert said(evaluation) == expected


def test_a_small_evaluation_lists_every_job_from_pending_on() -> None:
    evaluation = facts(unfinished=3, succeeded=0)
    builds = [build(n, "pending") for n in (1, 2, 3)]
    messages = plan_statuses(evaluation, builds, {}, 0, URL)
    assert contexts(messages) == ["main", "job-1", "job-2", "job-3"]
    assert {message.content["state"] for message in messages} == {"pending"}


def test_a_large_evaluation_lists_failures_alone() -> None:
    evaluation = facts(total=100, unfinished=97, succeeded=1)
    builds = [
        build(1, "succeeded"),
        build(2, "failed"),
        build(3, "pending"),
        build(4, "aborted"),
        build(5, "cancelled"),
    ]
    assert contexts(plan_statuses(evaluation, builds, {}, 0, URL)) == ["main", "job-2", "job-4"]


def test_no_more_failures_are_listed_than_the_limit() -> None:
    evaluation = facts(total=100, unfinished=0, succeeded=0)
    builds = [build(n, "failed") for n in range(1, 101)]
    assert len(plan_statuses(evaluation, builds, {}, 0, URL)) == 1 + INDIVIDUAL_STATUSES
    assert len(plan_statuses(evaluation, builds, {}, 40, URL)) == 1 + 7
    assert len(plan_statuses(evaluation, builds, {}, 47, URL)) == 1


def test_the_limit_also_holds_when_a_small_evaluation_grows() -> None:
    assert contexts(
        plan_statuses(facts(total=2), [build(1, "succeeded"), build(2, "succeeded")], {}, 1, URL, 2)
    ) == [
        "main",
        "job-1",
    ]


def test_a_reported_failure_is_flipped_when_the_job_succeeds_even_in_a_large_evaluation() -> None:
    evaluation = facts(total=100, succeeded=100)
    earlier = reported(build_status(evaluation, build(1, "failed"), URL))
    messages = plan_statuses(evaluation, [build(1, "succeeded"), build(2, "succeeded")], earlier, 47, URL)
    assert contexts(messages) == ["main", "job-1"]
    assert messages[1].content["state"] == "success"


def test_a_retry_turns_a_reported_failure_back_to_pending() -> None:
    evaluation = facts(total=100, succeeded=99, unfinished=1)
    earlier = reported(build_status(evaluation, build(1, "failed"), URL))
    messages = plan_statuses(evaluation, [build(1, "pending")], earlier, 1, URL)
    assert [message.content["state"] for message in messages] == ["pending", "pending"]


def test_the_same_words_are_not_said_twice() -> None:
    builds = [build(1, "succeeded")]
    messages = plan_statuses(EVALUATION, builds, {}, 0, URL)
    assert plan_statuses(EVALUATION, builds, reported(*messages), 1, URL) == []


def test_a_job_whose_status_was_undeliverable_is_tried_again_but_the_summary_is_not() -> None:
    builds = [build(1, "succeeded")]
    earlier = reported(*plan_statuses(EVALUATION, builds, {}, 0, URL), undeliverable=True)
    assert contexts(plan_statuses(EVALUATION, builds, earlier, 1, URL)) == ["job-1"]


def test_an_evaluation_that_is_not_the_newest_of_its_commit_says_nothing_to_forges() -> None:
    assert plan_statuses(facts(newest=False), [build(1, "failed")], {}, 0, URL) == []


def test_events_are_about_what_is_final() -> None:
    running = facts(unfinished=1, succeeded=2)
    builds = [build(1, "succeeded"), build(2, "running"), build(3, "pending"), build(4, "cached_failure")]
    assert [message.content["job"] for message in plan_events(running, builds, {}, URL)] == ["job-1", "job-4"]
    assert [message.content["event"] for message in plan_events(facts(), [], {}, URL)] == [
        "evaluation_finished"
    ]
    assert plan_events(facts(status="running", total=0), [], {}, URL) == []
    assert [m.content["status"] for m in plan_events(facts(status="failed", total=0), [], {}, URL)] == [
        "failed"
    ]


def test_an_event_is_said_again_only_when_it_is_news_or_was_lost() -> None:
    event = build_event(EVALUATION, build(1, "failed"), URL)
    running = facts(unfinished=1)
    assert plan_events(running, [build(1, "failed")], reported(event), URL) == []
    assert plan_events(running, [build(1, "failed")], reported(event, undeliverable=True), URL) == [event]
    assert (
        plan_events(running, [build(1, "succeeded")], reported(event), URL)[0].content["state"] == "success"
    )


def test_what_a_webhook_gets() -> None:
    assert build_event(EVALUATION, build(7, "cached_failure"), URL).content == {
        "event": "build_finished",
        "project": "hello",
        "jobset": "main",
        "evaluation": str(EVALUATION.id),
        "commit": COMMIT,
        "build": str(uuid.UUID(int=7)),
        "job": "job-7",
        "status": "cached_failure",
        "state": "failure",
        "url": f"{URL}/builds/{uuid.UUID(int=7)}",
    }
    content = evaluation_event(EVALUATION, URL).content
    assert (content["status"], content["state"], content["build"], content["job"]) == (
        "completed",
        "success",
        None,
        None,
    )
    assert content["url"] == f"{URL}/evaluations/{EVALUATION.id}"


@given(
    st.sampled_from(get_args(EvaluationStatus)),
    st.lists(st.sampled_from(get_args(BuildStatus)), max_size=60),
    st.integers(min_value=0, max_value=3),
    st.booleans(),
)
def test_every_message_s_subject_is_foreseen_and_every_plan_is_within_the_limit(
    status: EvaluationStatus, statuses: list[BuildStatus], errors: int, newest: bool
) -> None:
    builds = [build(number, each) for number, each in enumerate(statuses)]
    evaluation = facts(
        status=status,
        errors=errors,
        newest=newest,
        total=len(builds),
        unfinished=sum(each in {"pending", "running"} for each in statuses),
        succeeded=statuses.count("succeeded"),
        cancelled=statuses.count("cancelled"),
        aborted=statuses.count("aborted"),
    )
    messages = plan_statuses(evaluation, builds, {}, 0, URL) + plan_events(evaluation, builds, {}, URL)
    assert {message.subject for message in messages} <= set(subjects(evaluation, builds))
    assert sum("context" in message.content for message in messages) <= 1 + INDIVIDUAL_STATUSES
    failing = evaluation.failed or evaluation.errors
    if status == "completed" and evaluation.final:
        assert (said(evaluation)[0] == "success") == (
            not failing and not evaluation.cancelled and not evaluation.aborted
        )
