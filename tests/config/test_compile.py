"""Compiling: keys, merging over files, and what only shows when all files are known."""

import pytest

from fc.base.problems import Problem
from fc.config.compile import Compiler, compile_fragments, content_hash
from tests.support.configuration import WHOLE, compiled, fragment, project, shown

MEMBERS = "projects: {p: {repository_url: /srv/p, members: {alice: member}}}\n"


def test_keys_say_where_a_resource_belongs() -> None:
    assert sorted(compiled(WHOLE).resources) == [
        ("api_key", "deploy-bot"),
        ("channel", "hello/stable"),
        ("input", "hello/main/nixpkgs"),
        ("input", "hello/main/release"),
        ("jobset", "hello/main"),
        ("member", "hello/alice"),
        ("notification", "hello/github_status"),
        ("project", "hello"),
        ("remote_builder", "big-1"),
        ("role", "project-admin:*"),
        ("user", "alice"),
        ("webhook", "hello/github"),
        ("worker_pool", "nix/linux"),
    ]


def test_a_resource_holds_its_own_fields_and_its_place() -> None:
    resources = compiled(WHOLE).resources
    found = resources["project", "hello"]
    assert found.fields == {
        "repository_url": "https://git.example.org/tools/hello.git",
        "description": "A friendly greeting",
        "enabled": True,
        "delegate": None,
    }
    assert (found.file, found.line, found.column) == ("fc.yaml", 3, 3)
    assert resources["member", "hello/alice"].fields == {"role": "maintainer"}
    assert resources["input", "hello/main/release"].fields == {"type": "boolean", "value": True}
    assert resources["worker_pool", "nix/linux"].fields["config"] == {"builders": ["big-1"]}
    webhook = resources["webhook", "hello/github"]
    assert webhook.fields == {"secret": {"secret": "hello-webhook"}, "enabled": True}
    assert webhook.secrets == {"secret": ("hello-webhook", (11, 33))}


def test_kinds_are_merged_over_files_and_documents() -> None:
    made = compiled({"a.yaml": project("a"), "b/c.yaml": f"{project('b')}---\n{project('c')}"})
    assert made.problems == ()
    assert [(key, one.file) for (_, key), one in made.resources.items()] == [
        ("a", "a.yaml"),
        ("b", "b/c.yaml"),
        ("c", "b/c.yaml"),
    ]


def test_the_hash_is_of_what_is_said_not_of_how_or_where() -> None:
    first = compiled("users: {a: {email: a@b, enabled: true}}")
    second = compiled({"other.yaml": "# moved\n\nusers:\n  a:\n    enabled: true\n    email: a@b\n"})
    third = compiled("users: {a: {email: a@c}}")
    hashes = [one.resources["user", "a"].content_hash for one in (first, second, third)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_seal_is_part_of_the_hash() -> None:
    fields = {"key": {"secret": "x"}}
    assert len({content_hash(fields), content_hash(fields, "a"), content_hash(fields, "b")}) == 3


def test_a_resource_declared_twice_names_both_places() -> None:
    made = compiled({"a.yaml": project("p", main="x"), "b.yaml": project("p", main="y", next="z")})
    assert shown(made.problems) == [
        "b.yaml:2:3: project 'p' is declared twice; it stands already at a.yaml:2:3"
    ]


def test_twice_in_one_file_is_twice_as_well() -> None:
    made = compiled(f"{project('p', main='x')}---\n{project('p', main='x')}---\n{project('q', main='x')}")
    assert shown(made.problems) == [
        "fc.yaml:8:3: project 'p' is declared twice; it stands already at fc.yaml:2:3"
    ]
    assert ("jobset", "q/main") in made.resources


def test_equal_names_of_different_kinds_do_not_disturb_one_another() -> None:
    twice = {"a.yaml": project("p", main="x"), "b.yaml": f"{project('p')}users: {{p: {{email: a@b}}}}\n"}
    assert len(compiled(twice).problems) == 1
    assert ("user", "p") in compiled(twice).resources


def notifications(*lines: str) -> str:
    return "projects:\n  p:\n    repository_url: /srv/p\n    notifications:\n" + "".join(
        f"    - {line}\n" for line in lines
    )


def test_notifications_are_named_by_type_then_by_repository_then_by_hand() -> None:
    github = "{type: github_status, token: !secret t, repository: %s}"
    made = compiled(
        notifications(
            github % "a/b",
            github % "a/c",
            "{type: gitea_status, token: !secret t, repository: a/b}",
            "{type: gitea_status, token: !secret t, repository: a/c, name: second}",
            "{type: webhook, url: 'https://x'}",
        )
    )
    assert made.problems == ()
    assert [key for kind, key in made.resources if kind == "notification"] == [
        "p/github_status:a/b",
        "p/github_status:a/c",
        "p/gitea_status:a/b",
        "p/second",
        "p/webhook",
    ]
    assert "name" not in made.resources["notification", "p/second"].fields


def test_other_kinds_declared_twice_are_refused_as_well() -> None:
    made = compiled({"a.yaml": "users: {u: {email: a@b}}", "b.yaml": "users: {u: {email: c@d}}"})
    assert shown(made.problems) == ["b.yaml:1:9: user 'u' is declared twice; it stands already at a.yaml:1:9"]


def test_notifications_that_cannot_be_told_apart_are_refused() -> None:
    made = compiled(notifications("{type: webhook, url: 'https://x'}", "{type: webhook, url: 'https://y'}"))
    assert shown(made.problems) == [
        "fc.yaml:6:7: notification 'p/webhook' (give it a name of its own) is declared twice; it stands already at fc.yaml:5:7"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "projects: {p: {repository_url: /p, jobsets: {main: {nix_expression: x}}, channels: {c: {jobset: mian}}}}",
            "fc.yaml:1:97: there is no jobset 'mian' in project 'p'; did you mean 'main'?",
        ),
        (
            f"{MEMBERS}users: {{alise: {{email: a@b}}}}",
            "fc.yaml:1:50: there is no user 'alice'; did you mean 'alise'?",
        ),
        (
            "worker_pools: {n/l: {provider_id: ssh, owner: a@b, config: {builders: [x]}}}",
            "fc.yaml:1:72: there is no remote builder 'x'",
        ),
        ("api_keys: {k: {key: !secret s, user: bob}}", "fc.yaml:1:38: there is no user 'bob'"),
    ],
)
def test_a_dangling_reference_is_a_problem_at_its_place(text: str, expected: str) -> None:
    assert shown(compiled(text).problems) == [expected]


def test_a_channel_refers_to_jobsets_of_its_own_project_only() -> None:
    other = project("q", main="x")
    made = compiled(
        {"a.yaml": other, "b.yaml": "projects: {p: {repository_url: /p, channels: {c: {jobset: main}}}}"}
    )
    assert shown(made.problems) == ["b.yaml:1:59: there is no jobset 'main' in project 'p'"]


def test_every_dangling_reference_is_reported() -> None:
    made = compiled("api_keys: {k: {key: !secret s, user: a}, l: {key: !secret t, user: b}}")
    assert [one.column for one in made.problems] == [38, 68]


def test_references_reach_over_files() -> None:
    assert compiled({"a.yaml": MEMBERS, "b.yaml": "users: {alice: {email: a@b}}"}).problems == ()


def test_nothing_is_called_missing_while_a_file_cannot_be_read() -> None:
    made = compiled({"a.yaml": MEMBERS, "b.yaml": "users: {alice: ["})
    assert [one.file for one in made.problems] == ["b.yaml"]


def test_nothing_is_called_missing_while_the_tree_has_problems() -> None:
    link = Problem("users.yaml", 1, 1, "this symbolic link leads nowhere")
    assert compile_fragments([fragment(MEMBERS)], [link]).problems == (link,)


def test_a_declaration_with_a_wrong_field_is_still_declared() -> None:
    made = compiled(
        f"{MEMBERS}users: {{alice: {{email: 3}}, bob: 4}}\napi_keys: {{k: {{key: plain, user: bob}}}}"
    )
    assert [one.column for one in made.problems] == [24, 33, 21]


def test_users_cannot_share_an_address() -> None:
    made = compiled(
        {
            "a.yaml": "users: {a: {email: ops@x.org}}",
            "b.yaml": "users: {b: {email: Ops@X.org}, c: {email: c@x.org}}",
        }
    )
    assert shown(made.problems) == ["b.yaml:1:9: user 'b' has the same address as user 'a' at a.yaml:1:9"]


def test_api_keys_cannot_share_a_secret() -> None:
    made = compiled("api_keys: {a: {key: !secret s}, b: {key: !secret s}, c: {key: !secret t}, d: {}}")
    assert shown(made.problems) == [
        "fc.yaml:1:33: api key 'b' has the same key as api key 'a' at fc.yaml:1:12",
        "fc.yaml:1:78: api key: missing 'key'",
    ]


def test_problems_of_all_files_come_sorted_by_place() -> None:
    made = compiled({"b.yaml": "users: {x: {}}\nroles: {y: {}}", "a.yaml": "nope: 1", "c.yaml": "{"})
    assert [(one.file, one.line) for one in made.problems] == [
        ("a.yaml", 1),
        ("b.yaml", 1),
        ("b.yaml", 2),
        ("c.yaml", 1),
    ]


def test_a_fragment_that_comes_again_is_not_flattened_again() -> None:
    compiler = Compiler()
    first, second = fragment(project("a"), "a.yaml"), fragment(project("b"), "b.yaml")
    before = compiler.compile([first, second]).resources
    after = compiler.compile([first, fragment(project("b", main="x"), "b.yaml")]).resources
    assert after["project", "a"] is before["project", "a"]
    assert after["project", "b"] is not before["project", "b"]
    assert ("jobset", "b/main") in after


def test_what_is_compiled_again_is_the_same_unless_anything_it_is_made_from_is_not() -> None:
    compiler = Compiler()
    files = (
        fragment(project("a", main="x"), "a.yaml"),
        fragment("projects: {b: {channels: {c: {jobset: d}}}}"),
    )
    made = compiler.compile(files)
    assert compiler.compile(files) is made
    assert compiler.compile(list(files)) is made
    others = {("jobset", "b/d")}
    with_others = compiler.compile(files, (), others)
    assert len(with_others.problems) < len(made.problems)
    # As each look of the service does it: without what others declare, then with it.
    assert compiler.compile(files) is made
    assert compiler.compile(files, (), others) is with_others
    broken = compiler.compile(files, [Problem("z.yaml", 1, 1, "cannot be read")])
    assert "cannot be read" in {one.message for one in broken.problems}
    assert compiler.compile(files[:1]).resources.keys() == {("project", "a"), ("jobset", "a/main")}


def test_resources_are_known_by_their_files_unless_one_is_declared_twice() -> None:
    made = compiled({"a.yaml": project("a", main="x"), "b.yaml": project("b"), "c.yaml": "# nothing\n"})
    assert {file: list(part.resources) for file, part in made.parts.items()} == {
        "a.yaml": [("project", "a"), ("jobset", "a/main")],
        "b.yaml": [("project", "b")],
    }
    assert compiled({"a.yaml": project("a"), "b.yaml": project("a")}).parts == {}


def test_what_a_file_needs_may_stand_in_another_one() -> None:
    made = compiled(
        {
            "a.yaml": "projects: {p: {repository_url: /srv/p, members: {u: admin, v: admin}}}",
            "b.yaml": "users: {u: {email: u@x}}",
        }
    )
    (problem,) = made.problems
    assert problem.message.startswith("there is no user 'v'")
