"""Checks against the language: every wrong value is a problem at its place, with the way to do it right."""

import pytest

from fc.config.language import KINDS
from tests.support.configuration import WHOLE, compiled, fragment, shown


def problems(text: str) -> list[str]:
    return shown(fragment(text).problems)


def in_jobset(line: str) -> str:
    return f"projects:\n  p:\n    repository_url: /srv/p\n    jobsets:\n      j:\n        nix_expression: x\n        {line}\n"


def test_one_of_every_kind_is_valid() -> None:
    made = compiled(WHOLE)
    assert made.problems == ()
    assert {kind for kind, _ in made.resources} == {kind.name for kind in KINDS}


def test_what_is_not_written_has_the_defaults_of_the_columns() -> None:
    jobset = compiled("projects: {p: {repository_url: /srv/p, jobsets: {j: {nix_expression: x}}}}").resources[
        "jobset", "p/j"
    ]
    assert jobset.fields == {
        "nix_expression": "x",
        "description": None,
        "enabled": True,
        "flake_mode": True,
        "branch": None,
        "check_interval": 60,
        "scheduling_shares": 100,
        "state": "enabled",
        "keep_nr": 3,
        "restrict_eval": True,
        "allow_import_from_derivation": False,
        "evaluation_timeout": 600,
    }


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 90), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("2d", 172800), ('"90"', 90)],
)
def test_durations_are_seconds_or_texts(written: str, seconds: int) -> None:
    resources = compiled(in_jobset(f"check_interval: {written}")).resources
    assert resources["jobset", "p/j"].fields["check_interval"] == seconds


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("brnach: main", "7:9: jobset: unknown key 'brnach'; did you mean 'branch'?"),
        ("colour: red", "7:9: jobset: unknown key 'colour'; known are allow_import_from_derivation, branch, check_interval, description, enabled, evaluation_timeout, flake_mode, inputs, keep_nr, nix_expression, on_remove, protected, renamed_from, restrict_eval, scheduling_shares, state"),
        ("branch: 23.11", '7:17: branch: expected text, found the number 23.11; put it in quotes: "23.11"'),
        ("branch: true", '7:17: branch: expected text, found the value true; put it in quotes: "true"'),
        ("branch: [main]", "7:17: branch: expected text, found a list"),
        ("branch: {a: b}", "7:17: branch: expected text, found a mapping"),
        ("branch: -x", "7:17: branch: '-x' is not the name of a branch, tag or ref"),
        ("branch: a..b", "7:17: branch: 'a..b' is not the name of a branch, tag or ref"),
        ('branch: ""', "7:17: branch: must not be empty"),
        ("branch: !secret x", "7:17: branch: expected text, found a secret; only passwords, tokens and keys can be secrets"),
        ("enabled: yes", "7:18: enabled: expected true or false, found text"),
        ("enabled:", "7:17: enabled: expected true or false, found nothing"),
        ("enabled: 1", "7:18: enabled: expected true or false, found the number 1"),
        ("keep_nr: many", "7:18: keep_nr: expected a whole number, found text"),
        ("keep_nr: 1.5", "7:18: keep_nr: expected a whole number, found the number 1.5"),
        ("keep_nr: -1", "7:18: keep_nr: -1 is too small, the least is 0"),
        ("keep_nr: 2147483648", "7:18: keep_nr: 2147483648 is too large, the most is 2147483647"),
        ("keep_nr: 99999999999999999999999", "7:18: keep_nr: expected a whole number, found the number 99999999999999999999999"),
        ("check_interval: often", "7:25: check_interval: expected a duration such as 90, 30s, 5m, 1h30m or 2d, found text"),
        ("check_interval: 0", "7:25: check_interval: 0 is too small, the least is 1"),
        ("check_interval: 99999w", "7:25: check_interval: 60479395200 is too large, the most is 2147483647"),
        ("check_interval: true", "7:25: check_interval: expected a duration such as 90, 30s, 5m, 1h30m or 2d, found the value true"),
        ("state: enabld", "7:16: state: expected disabled, enabled, one_at_a_time, one_shot, found 'enabld'; did you mean 'enabled'?"),
        ("state: 3", "7:16: state: expected disabled, enabled, one_at_a_time, one_shot, found the number 3"),
        ("state: [enabled]", "7:16: state: expected disabled, enabled, one_at_a_time, one_shot, found a list"),
        ("inputs: 3", "7:17: inputs: expected a mapping of names, found the number 3"),
        ("inputs: {x: 3}", "7:21: input: expected a mapping with 'type', found the number 3"),
        ("inputs: {x: {value: a}}", "7:21: input: missing 'type', one of boolean, build, git, path, string"),
        ("inputs: {x: {type: sring, value: a}}", "7:28: type: expected boolean, build, git, path, string, found 'sring'; did you mean 'string'?"),
        ("inputs: {x: {type: string}}", "7:21: string: missing 'value'"),
        ("inputs: {x: {type: string, value: a, revision: b}}", "7:46: string: unknown key 'revision'; known are type, value"),
        ("inputs: {1x: {type: string, value: a}}", "7:18: name of input: expected a Nix argument: letters, digits, dashes and underscores, not beginning with a digit"),
        ("inputs: {x: {type: build, value: job}}", "7:42: value: expected project:jobset:job"),
        ("inputs: {x: {type: git, value: 'ext::sh -c id'}}", "7:40: value: expected https://…"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_place_and_the_right_way(line: str, expected: str) -> None:
    assert [one[: len("fc.yaml:") + len(expected)] for one in problems(in_jobset(line))] == [
        f"fc.yaml:{expected}"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "1:1: document: expected a mapping, found a list"),
        ("just text", "1:1: document: expected a mapping, found text"),
        ("project: {}", "1:1: document: unknown key 'project'; did you mean 'projects'?"),
        ("projects: []", "1:11: projects: expected a mapping of names, found a list"),
        ("projects: {p: 3}", "1:15: project: expected a mapping, found the number 3"),
        ("projects: {p: }", "1:15: project: missing 'repository_url'"),
        ("projects: {'a b': {repository_url: /x}}", "1:12: name of project: expected letters, digits, dots"),
        ("projects: {'../x': {repository_url: /x}}", "1:12: name of project: expected letters, digits, dots"),
        ("projects: {-x: {repository_url: /x}}", "1:12: name of project: expected letters, digits, dots"),
        ("projects: {configuration: {repository_url: /x}}", "1:12: name of project: the name 'configuration' is taken"),
        ("projects: {!secret p: {repository_url: /x}}", "1:12: a key is written as it is; !secret stands for a value"),
        ("projects: {p: {repository_url: ext::x}}", "1:32: repository_url: expected https://…"),
        ("projects: {p: {repository_url: relative/path}}", "1:32: repository_url: expected https://…"),
        ("projects: {p: {repository_url: 'https://user:hunter2@host/x'}}", "1:32: repository_url: expected https://…"),
        ("projects: {p: {repository_url: 'https://token@host/x'}}", "1:32: repository_url: expected https://…"),
        ("projects: {p: {repository_url: 'ssh://git:hunter2@host/x'}}", "1:32: repository_url: expected https://…"),
        ("projects: {p: {repository_url: 'ssh://-oProxyCommand=id/x'}}", "1:32: repository_url: expected https://…"),
        ("projects: {p: {repository_url: /x, notifications: {}}}", "1:51: notifications: expected a list, found a mapping"),
        ("projects: {p: {repository_url: /x, notifications: [{type: telegram}]}}", "1:59: type: expected forgejo_status"),
        ("projects: {p: {repository_url: /x, webhooks: {githb: {secret: !secret x}}}}", "1:47: name of webhook: expected forgejo, gitea, github, gitlab, found 'githb'; did you mean 'github'?"),
        ("projects: {p: {repository_url: /x, members: {a: owner}}}", "1:49: member: expected admin, maintainer, member, found 'owner'"),
        ("projects: {p: {repository_url: /x, channels: {c: main}}}", "1:50: channel: expected a mapping, found text"),
        ("users: {a: {email: nobody}}", "1:20: email: expected an address such as ops@example.org"),
        ("users: {a: {email: a@b, role: root}}", "1:31: role: expected admin, bump-to-front"),
        ("api_keys: {k: {key: hunter2}}", "1:21: key: a secret is never written here; keep it where FC runs"),
        ("api_keys: {k: {key: !secret ../../etc/passwd}}", "1:21: key: !secret is followed by a name of letters"),
        ("api_keys: {k: {key: !secret }}", "1:21: key: !secret is followed by a name of letters"),
        ("remote_builders: {b: {ssh_uri: ssh://-x, systems: [x86_64-linux]}}", "1:32: ssh_uri: expected ssh://user@host"),
        ("remote_builders: {b: {ssh_uri: ssh://u:p@h, systems: [x86_64-linux]}}", "1:32: ssh_uri: expected ssh://user@host"),
        ("remote_builders: {b: {ssh_uri: ssh://h, systems: []}}", "1:50: systems: has 0 items, at least 1 are possible"),
        ("remote_builders: {b: {ssh_uri: ssh://h, systems: x86_64-linux}}", "1:50: systems: expected a list, found text"),
        ("remote_builders: {b: {ssh_uri: ssh://h, systems: [amd64]}}", "1:51: systems: expected a Nix system such as x86_64-linux"),
        ("remote_builders: {b: {ssh_uri: ssh://h, systems: [a-b], max_jobs: 0}}", "1:67: max_jobs: 0 is too small"),
        ("worker_pools: {linux: {provider_id: ssh, owner: a@b}}", "1:16: name of worker pool: expected provisioner/type"),
        ("worker_pools: {n/l: {provider_id: ssh, owner: a@b, config: {builder: []}}}", "1:61: config: unknown key 'builder'; did you mean 'builders'?"),
        ("roles: {'a b': {description: x}}", "1:9: name of role: expected printable ASCII without blanks"),
        ("roles: {a: {description: x, scopes: [é]}}", "1:38: scopes: expected printable ASCII"),
    ],
)  # fmt: skip
def test_each_kind_says_what_it_expects(text: str, expected: str) -> None:
    assert [one[: len("fc.yaml:") + len(expected)] for one in problems(text)] == [f"fc.yaml:{expected}"]


def test_a_text_that_is_too_long_is_refused() -> None:
    assert problems(in_jobset(f"description: {'x' * 4097}")) == [
        "fc.yaml:7:22: description: has 4097 characters, at most 4096 are possible"
    ]


def test_no_problem_repeats_what_may_be_a_secret() -> None:
    text = (
        "api_keys: {k: {key: hunter2}}\n"
        "projects:\n  p:\n    repository_url: https://ada:hunter2@host/x\n"
        "    webhooks: {github: {secret: [hunter2]}}\n"
        "    notifications: [{type: webhook, url: 'https://x:hunter2@y/z', secret: {a: hunter2}}]\n"
    )
    found = problems(text)
    assert len(found) == 5
    assert "hunter2" not in "".join(found)


def test_kinds_may_be_empty_and_names_may_look_like_numbers() -> None:
    made = compiled("projects:\nusers:\nroles:\n  2024: {description: a year}\n")
    assert made.problems == ()
    assert list(made.resources) == [("role", "2024")]


def test_every_problem_of_a_file_is_reported_at_once_and_in_order() -> None:
    text = "projects:\n  p:\n    jobsets:\n      a: {nix_expression: 3, nme: x}\n      b: {}\nusers: {u: {role: root}}\n"
    assert [one.split(": ")[0] for one in shown(compiled(text).problems)] == [
        "fc.yaml:3:5",
        "fc.yaml:4:27",
        "fc.yaml:4:30",
        "fc.yaml:5:10",
        "fc.yaml:6:12",
        "fc.yaml:6:19",
    ]


def test_a_merged_mapping_is_checked_like_any_other() -> None:
    text = """
projects:
  p:
    repository_url: /srv/p
    jobsets:
      a: &base {nix_expression: x, check_interval: 5m}
      b: {<<: *base, branch: next, check_interval: 1h}
"""
    resources = compiled(text).resources
    assert resources["jobset", "p/b"].fields == resources["jobset", "p/a"].fields | {
        "branch": "next",
        "check_interval": 3600,
    }
