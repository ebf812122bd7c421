"""What is edited beside comments, merges and aliases: these stay, and each comment stays with what it is about."""

import pytest

from fc.config.rewrite import rewrite
from tests.config.test_rewrite import changed, stored
from tests.support.configuration import compiled

OWN = """\
users:
  # General words.

  # Leads.
  # Since ever.
  alice: {email: alice@example.org}   # the boss
  bob: {email: bob@example.org}

  # Carol's.
  carol:
    email: carol@example.org
    # inside
    role: read-only
  # behind
roles: {
  # of a
  a: {description: A},   # beside a
  # of b
  b: {description: B},
  c: {description: C}, d: {description: D},   # beside d
  e: {description: E}}
"""


@pytest.mark.parametrize(
    ("gone", "lines"),
    [
        (["alice"], ["  # Leads.", "  # Since ever.", "  alice: {email: alice@example.org}   # the boss"]),
        (["bob"], ["  bob: {email: bob@example.org}"]),
        (
            ["carol"],
            [
                "  # Carol's.",
                "  carol:",
                "    email: carol@example.org",
                "    # inside",
                "    role: read-only",
            ],
        ),
        (["a"], ["  # of a", "  a: {description: A},   # beside a"]),
        (["b"], ["  # of b", "  b: {description: B},"]),
        (
            ["a", "b"],
            ["  # of a", "  a: {description: A},   # beside a", "  # of b", "  b: {description: B},"],
        ),
    ],
)
def test_what_goes_takes_its_own_comment_along_and_no_other(gone: list[str], lines: list[str]) -> None:
    resources = [one for one in stored(compiled(OWN)) if one.key not in gone]
    made = rewrite({"fc.yaml": OWN}, resources, compiled)["fc.yaml"]
    left = OWN.splitlines()
    for line in lines:
        left.remove(line)
    assert made.splitlines() == left


def test_what_goes_from_brackets_leaves_the_comments_of_others() -> None:
    for gone, old, new in (
        ("c", "c: {description: C}, d", "d"),
        ("d", "c: {description: C}, d: {description: D},   # beside d", "c: {description: C},   # beside d"),
        ("e", "  e: {description: E}}", "  }"),
    ):
        resources = [one for one in stored(compiled(OWN)) if one.key != gone]
        assert rewrite({"fc.yaml": OWN}, resources, compiled)["fc.yaml"] == OWN.replace(old, new)


def test_the_comments_of_a_section_outlive_its_last_declaration() -> None:
    text = "# people\nusers:\n  # General words.\n\n  # Leads.\n  alice: {email: a@example.org}\n  # behind\n"
    assert changed(text, "{}") == "# people\n  # General words.\n\n  # behind\n"
    text = "users:   # people\n  # Leads.\n  alice: {email: a@example.org}\n  # behind\n"
    made = changed(text, "{}")
    assert made == "users: {}   # people\n  # behind\n"
    changed(made, text)


MERGED = """\
projects:
  p: &p   # the first
    repository_url: https://git.example.org/p.git
    # what is built
    jobsets: &jobsets
      a: &a {nix_expression: x, branch: main}   # of a
      b: {nix_expression: yy}
    members: &members {alice: admin}
    webhooks: {github: {secret: !secret hook}}
  q:
    <<: *p   # as p
    # q's own
    description: other
  r:
    repository_url: https://git.example.org/r.git
    jobsets: {<<: *jobsets, c: {<<: *a, nix_expression: z}}   # of r
  s:
    # s first
    repository_url: https://git.example.org/s.git
    jobsets: *jobsets   # the same
    members: *members
  t:
    repository_url: https://git.example.org/t.git
    jobsets: {same: *a}   # of t
  u: *p   # twin
users: {alice: {email: alice@example.org}}
"""


@pytest.mark.parametrize(
    ("kind", "key", "field", "value", "old", "new"),
    [
        (
            "jobset",
            "r/c",
            "branch",
            "dev",
            "{<<: *a, nix_expression: z}",
            "{<<: *a, nix_expression: z, branch: dev}",
        ),
        (
            "jobset",
            "r/c",
            "branch",
            None,
            "{<<: *a, nix_expression: z}",
            "{<<: *a, nix_expression: z, branch: null}",
        ),
        ("jobset", "t/same", "branch", "dev", "{same: *a}", "{same: {<<: *a, branch: dev}}"),
        (
            "project",
            "q",
            "repository_url",
            "/q",
            "    <<: *p   # as p\n",
            "    <<: *p   # as p\n    repository_url: /q\n",
        ),
        ("project", "u", "description", "mine", "u: *p   # twin", "u: {<<: *p, description: mine}   # twin"),
        (
            "jobset",
            "s/b",
            "branch",
            "dev",
            "jobsets: *jobsets ",
            "jobsets: {<<: *jobsets, b: {nix_expression: yy, branch: dev}} ",
        ),
        (
            "jobset",
            "r/b",
            "branch",
            "dev",
            "z}}   # of r",
            "z}, b: {nix_expression: yy, branch: dev}}   # of r",
        ),
        (
            "jobset",
            "q/b",
            "branch",
            "dev",
            "    description: other\n",
            (
                "    description: other\n    jobsets:\n      a:\n        nix_expression: x\n        branch: main\n"
                "      b:\n        nix_expression: yy\n        branch: dev\n"
            ),
        ),
        (
            "jobset",
            "u/b",
            "branch",
            "dev",
            "u: *p",
            "u: {<<: *p, jobsets: {a: {nix_expression: x, branch: main}, b: {nix_expression: yy, branch: dev}}}",
        ),
        (
            "member",
            "s/alice",
            "role",
            "member",
            "members: *members",
            "members: {<<: *members, alice: member}",
        ),
        (
            "webhook",
            "q/github",
            "secret",
            {"secret": "other"},
            "    description: other\n",
            "    description: other\n    webhooks:\n      github:\n        secret: !secret other\n",
        ),
    ],
)
def test_what_a_merge_gives_is_overridden_beside_it(
    kind: str, key: str, field: str, value: object, old: str, new: str
) -> None:
    resources = [
        one._replace(fields={**one.fields, field: value}) if (one.kind, one.key) == (kind, key) else one
        for one in stored(compiled(MERGED))
    ]
    made = rewrite({"fc.yaml": MERGED}, resources, compiled)["fc.yaml"]
    assert made == MERGED.replace(old, new)
    again = {one.id: one.fields for one in compiled(made).resources.values()}
    assert again == {(one.kind, one.key): one.fields for one in resources}


@pytest.mark.parametrize("key", ["q/a", "r/a", "s/a", "u/a", "r/c", "t/same"])
def test_what_a_merge_gives_is_taken_out_beside_it(key: str) -> None:
    resources = [one for one in stored(compiled(MERGED)) if one.key != key]
    made = rewrite({"fc.yaml": MERGED}, resources, compiled)["fc.yaml"]
    assert set(compiled(made).resources) == {(one.kind, one.key) for one in resources}
    for said in (
        "# the first",
        "# what is built",
        "# of a",
        "# as p",
        "# q's own",
        "# s first",
        "# twin",
        "# of r",
    ):
        assert said in made, made
    assert made.startswith(MERGED[: MERGED.index("  q:")])
