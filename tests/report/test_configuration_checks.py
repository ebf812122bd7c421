"""Check runs of previews."""

import re
from typing import Any

import pytest

from fc.forge.github_checks import LONGEST_SUMMARY
from fc.report.configuration_checks import ANNOTATIONS, annotate, place_of, preview_check, summarise
from fc.report.configuration_plan import ChangeFacts, FieldFacts, PlanFacts, PreviewFacts, ProblemFacts

SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
URL = "https://fc.example.org"
DIGEST = "0123456789abcdef" * 4
CREATE = ChangeFacts("create", "worker_pool", "nix/linux", "pools.yaml", 3)
UPDATE = ChangeFacts(
    "update", "jobset", "hello/main", "projects.yaml", 7, (FieldFacts("branch"), FieldFacts("state"))
)
DELETE = ChangeFacts("delete", "jobset", "hello/old", "projects.yaml", 9)


def preview(status: str = "planned", *changes: ChangeFacts, **values: Any) -> PreviewFacts:
    given: dict[str, Any] = {"source": "default", "number": 7, "commit": SHA, "status": status}
    return PreviewFacts(**given | {"plan": PlanFacts(DIGEST, {"create": 1}, (), changes)} | values)


@pytest.mark.parametrize(
    ("status", "conclusion", "state"),
    [
        ("pending", None, "pending"),
        ("planned", "success", "success"),
        ("held", "action_required", "failure"),
        ("failed", "failure", "failure"),
    ],
)
def test_a_check_is_a_status_with_a_conclusion(status: str, conclusion: str | None, state: str) -> None:
    message = preview_check(preview(status), URL, ".")
    assert message is not None
    assert (message.content["conclusion"], message.content["state"]) == (conclusion, state)
    assert (message.content["context"], message.content["sha"]) == ("fc/plan", SHA)
    assert message.content["summary"]
    assert message.content["annotations"] == []


def test_nothing_is_said_of_one_that_is_closed() -> None:
    assert preview_check(preview("closed"), URL, ".") is None
    assert annotate(preview("closed"), ".") == []
    assert summarise(preview("closed"), ".") == "What would change is being planned."


def test_changes_are_remarked_where_they_stand_and_removals_listed_first() -> None:
    message = preview_check(preview("planned", CREATE, UPDATE, DELETE), URL, "conf/")
    assert message is not None
    assert message.content["annotations"] == [
        {
            "path": "conf/pools.yaml",
            "line": 3,
            "level": "notice",
            "title": "create worker pool nix/linux",
            "message": "Merging this would create worker pool nix/linux",
        },
        {
            "path": "conf/projects.yaml",
            "line": 7,
            "level": "notice",
            "title": "update jobset hello/main",
            "message": "Merging this would update jobset hello/main: branch, state",
        },
    ]
    assert message.content["summary"].splitlines() == [
        "- `delete jobset` `hello/old` (was at `conf/projects.yaml:9`)",
        "- `create worker pool` `nix/linux` (`conf/pools.yaml:3`)",
        "- `update jobset` `hello/main`: `branch, state` (`conf/projects.yaml:7`)",
    ]


def test_only_one_that_is_wanted_again_says_so() -> None:
    for reruns, said in ((0, None), (2, 2)):
        message = preview_check(preview(reruns=reruns), URL, ".")
        assert message is not None
        assert message.content.get("again") == said


def test_many_fields_are_counted() -> None:
    many = ChangeFacts("update", "jobset", "j", "a.yaml", 1, tuple(FieldFacts(f"f{n}") for n in range(10)))
    (remark,) = annotate(preview("planned", many), ".")
    assert remark.message.endswith("f6, f7 and 2 more")


def test_errors_are_remarked_at_their_columns() -> None:
    errors = (
        ProblemFacts("unknown key", "a.yaml", 7, 9),
        ProblemFacts("bad", "a.yaml", 8),
        ProblemFacts("nowhere"),
        ProblemFacts("", "b.yaml", 1, 1),
    )
    facts = preview("failed", CREATE, errors=errors)
    assert [(one.path, one.line, one.column, one.level, one.message) for one in annotate(facts, ".")] == [
        ("a.yaml", 7, 9, "failure", "unknown key"),
        ("a.yaml", 8, None, "failure", "bad"),
        ("b.yaml", 1, 1, "failure", "It cannot be read"),
    ]
    assert summarise(facts, ".").splitlines() == [
        "- `a.yaml:7:9` `unknown key`",
        "- `a.yaml:8:0` `bad`",
        "- `nowhere`",
        "- `b.yaml:1:1` (empty)",
    ]


def test_a_failure_without_errors_says_why() -> None:
    assert summarise(preview("failed", message="the commit @is gone"), ".") == "`the commit @is gone`"
    assert summarise(preview("failed"), ".") == "`It could not be planned.`"


def test_what_would_be_held_says_why_and_what_to_do() -> None:
    reasons = ("it would remove 5 of 8 jobsets", "x")
    facts = preview("held", plan=PlanFacts(DIGEST, {"delete": 5}, reasons, (DELETE,)))
    assert summarise(facts, ".").splitlines() == [
        "Once it is merged, this plan is held until somebody confirms it with `fcctl confirm 0123456789ab`, because",
        "",
        "- `it would remove 5 of 8 jobsets`",
        "- `x`",
        "",
        "- `delete jobset` `hello/old` (was at `projects.yaml:9`)",
    ]
    assert "- `everything`" in summarise(preview("held", message="everything"), ".")
    assert summarise(preview("held"), ".").endswith("because\n\n- `it has to be confirmed`")


def test_nothing_to_change_is_said() -> None:
    assert summarise(preview(), ".") == "Nothing would change."


@pytest.mark.parametrize(
    ("path", "file", "line", "place"),
    [
        (".", "a.yaml", 1, ("a.yaml", 1)),
        ("", "a.yaml", 1, ("a.yaml", 1)),
        ("conf", "d/a.yaml", 2, ("conf/d/a.yaml", 2)),
        ("/conf/./x/", "a.yaml", 2, ("conf/x/a.yaml", 2)),
        ("conf", "..a.yaml", 2, ("conf/..a.yaml", 2)),
        (".", "..a.yaml", 2, ("..a.yaml", 2)),
        (".", "../a.yaml", 2, None),
        ("conf", "../../a.yaml", 2, None),
        (".", "/etc/passwd", 2, None),
        (".", "", 2, None),
        (".", None, 2, None),
        (".", "a.yaml", None, None),
        (".", "a.yaml", 0, None),
        (".", "a.yaml", -1, None),
    ],
)
def test_places_are_inside_the_repository(
    path: str, file: str | None, line: int | None, place: tuple[str, int] | None
) -> None:
    assert place_of(path, file, line) == place


def test_hostile_names_are_shown_and_not_obeyed() -> None:
    hostile = "`@everyone` ```\n\n# [x](https://evil.example) <img src=x> |"
    facts = preview(
        "held",
        plan=PlanFacts(
            DIGEST + "`@all`",
            {"create": 1},
            (hostile,),
            (ChangeFacts(hostile, hostile, hostile, hostile, 1),),
        ),
    )
    for text in (
        summarise(facts, "."),
        summarise(preview("failed", errors=(ProblemFacts(hostile, hostile, 1, 1),)), "."),
    ):
        outside = re.sub(r"(?<!`)(`+)(?!`)(?:(?!(?<!`)\1(?!`)).)+(?<!`)\1(?!`)", "", text)
        assert not re.search(r"[@<\[|#]", outside), outside
    (remark,) = annotate(facts, ".")
    assert remark.line == 1


def test_a_flood_of_changes_is_cut_and_counted() -> None:
    flood = tuple(ChangeFacts("create", "jobset", "`é" * 200 + str(n), "a.yaml", n + 1) for n in range(5000))
    message = preview_check(preview("planned", *flood), URL, ".")
    assert message is not None
    summary = message.content["summary"]
    assert len(summary.encode()) <= LONGEST_SUMMARY
    listed = len(re.findall("^- ", summary, re.MULTILINE))
    assert summary.endswith(f"… and {5000 - listed} more, which FC's page lists.")
    assert len(message.content["annotations"]) == ANNOTATIONS
    cut = preview("planned", plan=PlanFacts(DIGEST, {"create": 6}, (), (CREATE,), 5))
    assert summarise(cut, ".").endswith("… and 5 more, which FC's page lists.")
    short = tuple(ChangeFacts("create", "user", "u", None, None) for _ in range(1001))
    assert summarise(preview("planned", *short), ".").endswith("… and 1 more, which FC's page lists.")
