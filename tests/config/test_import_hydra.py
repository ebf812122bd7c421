"""Hydra's projects and jobsets become configuration that is valid; all that is lost is told."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fc.base.errors import InvalidInputError
from fc.config.import_hydra import import_jobsets, import_projects
from tests.config.test_import_circus import VALUES, assert_valid
from tests.support.configuration import compiled
from tests.support.hydra import JOBSETS, MAIN, PROJECTS

SPEC: dict[str, Any] = {
    "enabled": 1,
    "hidden": False,
    "description": "js",
    "nixexprinput": "src",
    "nixexprpath": "release.nix",
    "checkinterval": 300,
    "schedulingshares": 100,
    "enableemail": False,
    "emailoverride": "",
    "keepnr": 3,
    "inputs": {
        "src": {"type": "git", "value": "git://git.example.org/example.git", "emailresponsible": False},
        "nixpkgs": {
            "type": "git",
            "value": "git://git.example.org/nixpkgs.git release-16.03",
            "emailresponsible": False,
        },
    },
}


def fields(imported: Any) -> dict[tuple[str, str], dict[str, Any]]:
    assert_valid(imported)
    return {key: one.fields for key, one in compiled(imported.text("x")).resources.items()}


def test_a_jobset_keeps_all_that_fc_has() -> None:
    made = fields(import_projects([(PROJECTS["hello"], {"main": MAIN})]))
    assert made["project", "hello"]["repository_url"] == "https://git.example.org/hello.git"
    assert made["project", "hello"]["description"] == "A friendly greeting"
    main = made["jobset", "hello/main"]
    assert main == {
        **main,
        "nix_expression": "release.nix",
        "flake_mode": False,
        "branch": "main",
        "description": "The main line",
        "check_interval": 300,
        "scheduling_shares": 200,
        "keep_nr": 5,
        "enabled": True,
        "state": "enabled",
    }
    assert made["input", "hello/main/nixpkgs"] == {
        "type": "git",
        "value": "https://git.example.org/nixpkgs.git",
        "revision": "nixos-24.05",
    }
    assert made["input", "hello/main/officialRelease"]["value"] is False
    assert made["input", "hello/main/version"]["value"] == "1.0"
    assert made["input", "hello/main/stdenv"]["value"] == "base:main:stdenv"
    assert ("input", "hello/main/src") not in made
    assert ("input", "hello/main/pulls") not in made


def test_flakes_states_and_other_repositories() -> None:
    jobsets = {name: one for (_, name), one in JOBSETS.items()}
    imported = import_projects([(PROJECTS["hello"], jobsets), (PROJECTS["empty"], {})])
    made = fields(imported)
    assert made["project", "hello-hello"]["repository_url"] == "https://github.com/tools/hello.git"
    flake = made["jobset", "hello-hello/flake"]
    assert (flake["nix_expression"], flake["flake_mode"], flake["branch"], flake["state"]) == (
        "hydraJobs",
        True,
        "next",
        "one_at_a_time",
    )
    assert flake["check_interval"] == 86400
    old = made["jobset", "hello-hello-2/old-one"]
    assert (old["enabled"], old["branch"]) == (False, "old")
    assert made["input", "hello-hello-2/old-one/hydra"]["value"] == "https://git.example.org/hello.git"
    notes = "\n".join(imported.notes)
    for said in (
        "became several projects",
        "is now named 'old-one'",
        "mail was left out",
        "it is hidden in Hydra",
        "the flake is in a directory",
        "Hydra never looks for changes",
        "input 'pulls' of 'hello/main' was left out: FC has no inputs of the type 'githubpulls'",
        "nobody gets mail for it",
        "the credentials in the address were left out",
        "project 'empty' was left out",
    ):
        assert said in notes
    assert "s3cr3t" not in imported.text("x") + notes


@pytest.mark.parametrize(
    ("flake", "url", "branch"),
    [
        ("github:a/b", "https://github.com/a/b.git", None),
        ("github:a/b/main", "https://github.com/a/b.git", "main"),
        ("gitlab:a/b?host=git.example.org&ref=x", "https://git.example.org/a/b.git", "x"),
        ("sourcehut:~a/b/x", "https://git.sr.ht/~a/b", "x"),
        ("git+https://git.example.org/b?ref=refs/heads/x", "https://git.example.org/b", "x"),
        ("git+ssh://git@git.example.org/b.git", "ssh://git@git.example.org/b.git", None),
        ("https://git.example.org/b.git", "https://git.example.org/b.git", None),
    ],
)
def test_flakes_of_git_repositories(flake: str, url: str, branch: str | None) -> None:
    made = fields(import_jobsets({"j": {"flake": flake, "enabled": 1}}, "p"))
    assert (made["project", "p"]["repository_url"], made["jobset", "p/j"]["branch"]) == (url, branch)


@pytest.mark.parametrize(
    "flake", ["nixpkgs", "path:/x", "https://x/y.tar.gz", "git+ext::sh", "git+https://[", "github:a"]
)
def test_other_flakes_are_left_out(flake: str) -> None:
    imported = import_jobsets({"j": {"flake": flake}}, "p")
    assert imported.resources == ()
    assert "its flake is not in a git repository" in imported.notes[0]


def test_a_file_of_declarative_jobsets() -> None:
    made = fields(import_jobsets({"one": SPEC, "two": {**SPEC, "nixexprinput": "nixpkgs"}}, "configuration"))
    assert made["project", "configuration-1"]["repository_url"] == "git://git.example.org/example.git"
    assert made["project", "configuration-nixpkgs"]["repository_url"] == "git://git.example.org/nixpkgs.git"
    assert made["input", "configuration-nixpkgs/two/src"]["value"] == "git://git.example.org/example.git"


@pytest.mark.parametrize("job", [("job", "p:j:job"), ("other:job", "p:other:job"), ("a:b:job", "a:b:job")])
def test_inputs_that_are_builds_are_named_whole(job: tuple[str, str]) -> None:
    told = {**SPEC, "inputs": {**SPEC["inputs"], "dep": {"type": "build", "value": job[0]}}}
    assert fields(import_jobsets({"j": told}, "p"))["input", "p/j/dep"]["value"] == job[1]


@pytest.mark.parametrize("document", [[], 3, None, SPEC, "x"])
def test_what_is_no_file_of_jobsets_is_refused(document: Any) -> None:
    with pytest.raises(InvalidInputError):
        import_jobsets(document, "p")


def test_builds_of_one_another_are_only_names() -> None:
    told = {
        name: {**SPEC, "inputs": {**SPEC["inputs"], "dep": {"type": "build", "value": f"p:{other}:job"}}}
        for name, other in (("a", "b"), ("b", "a"))
    }
    assert len(fields(import_jobsets(told, "p"))) == 7


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_whatever_a_server_says_the_result_is_valid(data: st.DataObject) -> None:
    told = st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(
                ["enabled", "nixexprpath", "checkinterval", "description", "keepnr", "emailoverride"], VALUES
            ),
            "flake": st.sampled_from(["github:a/b", "", "x"]) | VALUES,
            "nixexprinput": st.sampled_from(["src", "x"]) | VALUES,
            "inputs": VALUES
            | st.dictionaries(
                st.sampled_from(["src", "x"]) | st.text(max_size=5),
                st.fixed_dictionaries(
                    {
                        "type": st.sampled_from(["git", "build", "boolean", "string"]) | VALUES,
                        "value": st.just("/srv/x y") | VALUES,
                    }
                ),
                max_size=3,
            ),
        },
    )
    projects = data.draw(
        st.lists(
            st.tuples(
                st.fixed_dictionaries({"name": VALUES}),
                st.dictionaries(st.text(max_size=5), told, max_size=3),
            ),
            max_size=3,
        )
    )
    imported = import_projects(projects)
    assert_valid(imported)
    assert json.dumps(imported.notes)
