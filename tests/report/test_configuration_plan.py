"""What is said of revisions and previews."""

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from fc.report.configuration_plan import (
    LONGEST,
    PlanFacts,
    PreviewFacts,
    ProblemFacts,
    RevisionFacts,
    preview_status,
    revision_status,
)

SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
URL = "https://fc.example.org"
DIGEST = "0123456789abcdef" * 4
HELD = "it would remove 5 of 8 jobsets, more than 25%"
ERROR = ProblemFacts("unknown key 'brnach'", "projects.yaml", 7, 9)


def revision(**values: Any) -> RevisionFacts:
    given: dict[str, Any] = {"id": uuid.UUID(int=1), "source": "default", "commit": SHA, "status": "applied"}
    return RevisionFacts(**given | values)


def preview(**values: Any) -> PreviewFacts:
    given: dict[str, Any] = {"source": "default", "number": 7, "commit": SHA, "status": "planned"}
    return PreviewFacts(**given | values)


def said(facts: RevisionFacts | PreviewFacts) -> tuple[str, str]:
    message = revision_status(facts, URL) if isinstance(facts, RevisionFacts) else preview_status(facts, URL)
    assert message is not None
    assert len(message.content["description"]) <= LONGEST
    return message.content["state"], message.content["description"]


def test_a_status_says_where_to_read_more() -> None:
    message = revision_status(revision(), URL)
    assert message is not None
    assert message.subject == f"{SHA}:fc/configuration"
    assert message.content == {
        "state": "success",
        "context": "fc/configuration",
        "description": "In force, nothing had to change",
        "target_url": f"{URL}/configuration/revisions/{uuid.UUID(int=1)}",
        "sha": SHA,
    }
    message = preview_status(preview(source="team-a"), URL)
    assert message is not None
    assert (message.subject, message.content["context"]) == (f"{SHA}:fc/plan/team-a", "fc/plan/team-a")
    assert message.content["target_url"] == f"{URL}/configuration/previews/team-a/7"


def test_each_source_has_a_context_of_its_own() -> None:
    message = revision_status(revision(source="team-a"), URL)
    assert message is not None
    assert message.content["context"] == "fc/configuration/team-a"
    message = preview_status(preview(), URL)
    assert message is not None
    assert message.content["context"] == "fc/plan"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            revision(plan=PlanFacts(DIGEST, {"create": 3, "update": 1, "delete": 0, "rename": 2})),
            ("success", "Applied: 3 created, 1 updated, 2 renamed"),
        ),
        (revision(plan=PlanFacts(DIGEST, {"melt": 1})), ("success", "Applied: 1 melt")),
        (revision(status="failed"), ("failure", "It could not be applied")),
        (
            revision(status="failed", errors=(ERROR,)),
            ("failure", "projects.yaml:7:9: unknown key 'brnach'"),
        ),
        (
            revision(status="failed", errors=(ERROR, ERROR)),
            ("failure", "projects.yaml:7:9: unknown key 'brnach' (and 1 more error)"),
        ),
        (
            revision(status="failed", errors=(ProblemFacts("nothing is there"), ERROR, ERROR)),
            ("failure", "nothing is there (and 2 more errors)"),
        ),
        (
            revision(status="held", plan=PlanFacts(DIGEST, {}, (HELD,))),
            ("failure", f"Held: {HELD}; fcctl confirm 0123456789ab"),
        ),
        (
            revision(status="held", plan=PlanFacts(DIGEST, {}, (HELD, "b"))),
            ("failure", f"Held: {HELD} (and 1 more reason); fcctl confirm 0123456789ab"),
        ),
        (
            revision(status="held", plan=PlanFacts(DIGEST, {}, (HELD, "b", "c"))),
            ("failure", f"Held: {HELD} (and 2 more reasons); fcctl confirm 0123456789ab"),
        ),
        (
            revision(status="held", plan=PlanFacts(DIGEST)),
            ("failure", "Held: it has to be confirmed; fcctl confirm 0123456789ab"),
        ),
        (revision(status="waiting"), ("pending", "Waits for its sync window")),
        (
            revision(
                status="waiting", opens_at=datetime(2026, 11, 27, 20, 5, tzinfo=timezone(timedelta(hours=2)))
            ),
            ("pending", "Waits for its sync window until 2026-11-27 18:05 UTC"),
        ),
        (preview(status="pending"), ("pending", "Being planned")),
        (preview(), ("success", "Nothing would change")),
        (
            preview(plan=PlanFacts(DIGEST, {"create": 2, "update": 1, "adopt": 1, "rename": 0})),
            ("success", "Plan: 2 to create, 1 to update, 0 to delete, 1 to adopt"),
        ),
        (
            preview(status="held", plan=PlanFacts(DIGEST, {"delete": 5}, (HELD,))),
            ("failure", f"Would be held: {HELD}"),
        ),
        (preview(status="held", message="everything"), ("failure", "Would be held: everything")),
        (preview(status="failed"), ("failure", "It could not be planned")),
        (preview(status="failed", message="no such commit"), ("failure", "no such commit")),
        (
            preview(status="failed", message="2 errors", errors=(ERROR, ERROR)),
            ("failure", "projects.yaml:7:9: unknown key 'brnach' (and 1 more error)"),
        ),
    ],
)
def test_the_words(facts: RevisionFacts | PreviewFacts, expected: tuple[str, str]) -> None:
    assert said(facts) == expected


def test_nothing_is_said_of_what_is_over_or_has_no_commit() -> None:
    assert revision_status(revision(newest=False), URL) is None
    assert revision_status(revision(commit=None), URL) is None
    assert preview_status(preview(status="closed"), URL) is None
    assert preview_status(preview(newest=False), URL) is None


def test_what_is_long_is_cut_before_what_to_do() -> None:
    long = "@all `x`\n" * 100
    _, description = said(revision(status="held", plan=PlanFacts(DIGEST, {}, (long,))))
    assert description.endswith("…; fcctl confirm 0123456789ab")
    assert "\n" not in description
    _, description = said(preview(status="failed", errors=(ProblemFacts(long), ERROR)))
    assert description.endswith("… (and 1 more error)")


def test_a_time_is_said_in_utc() -> None:
    facts = revision(status="waiting", opens_at=datetime(2026, 11, 27, 18, tzinfo=UTC))
    assert said(facts)[1].endswith("2026-11-27 18:00 UTC")
