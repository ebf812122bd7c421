"""Values from elsewhere: !env takes allowed variables only, !file only what stands in the tree."""

import os
from pathlib import Path

import pytest

from fc.base.git import GitMirror
from fc.base.settings import Settings
from fc.base.source_settings import ConfigurationSettings
from fc.config.compile import compile_fragments
from fc.config.included import MAX_INCLUDED_BYTES
from fc.config.load import Loaded, Loader, read_fragment
from fc.config.outside import FORM_ONLY, Surroundings
from tests.support.configuration import shown, write
from tests.support.repository import Repository

ALLOWED = Surroundings(
    frozenset(("BRANCH", "SECONDS", "FLAG", "NOTHING", "ODD")),
    {
        "BRANCH": "23.11",
        "SECONDS": "90",
        "FLAG": "false",
        "NOTHING": "",
        "ODD": "a\x1bb",
        "FC_SECRET_TOKEN": "hunter2",
    },
)
JOBSET = "projects: {p: {repository_url: /p, jobsets: {j: {nix_expression: x, %s}}}}"


def declared(text: str, surroundings: Surroundings | None = ALLOWED) -> dict[str, object]:
    """The fields of the jobset in ``text``."""
    found = read_fragment("f.yaml", "", text.encode(), surroundings)
    made = compile_fragments([found])
    assert shown(made.problems) == []
    return made.resources["jobset", "p/j"].fields


def wrong(text: str, surroundings: Surroundings | None = ALLOWED) -> list[str]:
    return shown(read_fragment("f.yaml", "", text.encode(), surroundings).problems)


def test_a_variable_means_what_is_wanted_where_it_stands() -> None:
    fields = declared(JOBSET % "branch: !env BRANCH, check_interval: !env SECONDS, enabled: !env FLAG")
    assert (fields["branch"], fields["check_interval"], fields["enabled"]) == ("23.11", 90, False)


def test_an_empty_variable_is_an_empty_text_not_nothing() -> None:
    assert declared(JOBSET % "description: !env NOTHING")["description"] == ""


def test_an_alias_of_a_variable_is_the_variable() -> None:
    assert declared(JOBSET % "branch: &b !env BRANCH, description: *b")["description"] == "23.11"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            "!env FC_SECRET_TOKEN",
            "!env: the variable 'FC_SECRET_TOKEN' is not among those that configuration.environment in the settings allows",
        ),
        ("!env BRANHC", "did you mean 'BRANCH'?"),
        ("!env 'a b'", "!env is followed by the name of a variable: letters, digits and underscores"),
        ("!env ODD", "!env: the variable 'ODD' holds control characters"),
        ("!evn BRANCH", "known are !secret, !env, !file, !age and !!str; did you mean '!env'?"),
    ],
)
def test_a_variable_that_cannot_be_had_is_one_problem_at_its_place(value: str, problem: str) -> None:
    (found,) = wrong(JOBSET % f"branch: {value}")
    assert found.startswith("f.yaml:1:")
    assert problem in found
    assert "hunter2" not in found


def test_a_variable_that_is_allowed_and_not_set_is_a_problem() -> None:
    (found,) = wrong(JOBSET % "branch: !env REGION", Surroundings(frozenset(("REGION",)), {}))
    assert found == "f.yaml:1:77: !env: the variable 'REGION' is not set where FC runs"


def test_nothing_is_allowed_unless_the_settings_say_so() -> None:
    assert len(wrong(JOBSET % "branch: !env PATH", None)) == 1
    named = Settings(configuration=ConfigurationSettings(environment=("REGION",)))
    assert Surroundings.of(named).allowed == {"REGION"}


def test_a_variable_of_the_wrong_kind_is_refused_without_showing_it() -> None:
    text = "check_interval: !env BRANCH, state: !env BRANCH, keep_nr: !env FLAG"
    assert [one.split(": ", 1)[1] for one in wrong(JOBSET % text)] == [
        "check_interval: expected a duration such as 90, 30s, 5m, 1h30m or 2d, found text",
        "state: expected disabled, enabled, one_at_a_time, one_shot, found text",
        "keep_nr: expected a whole number, found text",
    ]


def test_neither_variables_nor_files_are_secrets() -> None:
    for value in ("!env BRANCH", "!file f.txt"):
        found = wrong(f"api_keys: {{k: {{key: {value}}}}}")
        assert any("write !secret NAME" in one or "there is no file" in one for one in found)


@pytest.mark.parametrize("tag", ["!env", "!file", "!secret"])
def test_a_key_is_written_as_it_is(tag: str) -> None:
    (found,) = wrong(f"projects: {{p: {{repository_url: /p}}, {tag} BRANCH: {{}}}}")
    assert f"a key is written as it is; {tag} stands for a value" in found


def test_where_only_the_form_is_checked_variables_are_not_needed() -> None:
    assert wrong(JOBSET % "branch: !env ANY, check_interval: !env ANY", FORM_ONLY) == []
    assert len(wrong(JOBSET % "branch: !env 'a b'", FORM_ONLY)) == 1
    text = """projects: {p: {repository_url: !env URL, notifications: [
        {type: github_status, repository: !env A, token: !secret t},
        {type: github_status, repository: !env B, token: !secret t}]}}"""
    assert compile_fragments([read_fragment("f.yaml", "", text.encode(), FORM_ONLY)]).problems == ()


async def both(repository: Repository, directory: Path) -> Loaded:
    """What the working tree and the commit say; they must be the same."""
    commit = repository.commit()
    mirror = GitMirror(directory / "git", repository.url)
    await mirror.fetch(commit)
    loaded = await Loader().load_commit(mirror, commit, ".")
    same = Loader().load_directory(repository.path)
    assert loaded.fragments == same.fragments
    return loaded


def says(name: str) -> str:
    return JOBSET % f"description: !file {name}"


async def test_a_file_is_taken_in_without_its_last_line_end(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    repository.write(
        {
            "a/b.yaml": says("../texts/x.md").replace("p:", "q:"),
            "texts/x.md": "One\r\ntwo: é\n",
            "c.yaml": says("x"),
            "x": "1",
        }
    )
    loaded = await both(repository, tmp_path)
    made = compile_fragments(loaded.fragments, loaded.problems)
    assert made.problems == ()
    assert made.resources["jobset", "q/j"].fields["description"] == "One\ntwo: é"
    assert made.resources["jobset", "p/j"].fields["description"] == "1"


async def test_only_small_texts_inside_the_tree_are_taken_in_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("hunter2", encoding="utf-8")
    repository = Repository(tmp_path / "r")
    repository.write(
        {
            "d/x.txt": "x",
            "large.txt": "x" * (MAX_INCLUDED_BYTES + 1),
            "latin.txt": b"\xe9",
            "odd.txt": "a\x00b",
            ".hidden": "x",
        }
    )
    for name, target in {"out": "../outside.txt", "in": "d/x.txt", "dir": "d"}.items():
        (repository.path / name).symlink_to(target)
    wanted = {
        "../outside.txt": "'../outside.txt' leads out of the configuration",
        "/etc/passwd": "'/etc/passwd' leads out of the configuration",
        "d/../../outside.txt": "'../outside.txt' leads out of the configuration",
        "..": "'..' leads out of the configuration",
        ".": "'.' is hidden: what begins with a dot is left out",
        ".git/config": "'.git/config' is hidden: what begins with a dot is left out",
        ".hidden": "'.hidden' is hidden: what begins with a dot is left out",
        "out": "'out' is a symbolic link, which !file does not follow",
        "in": "'in' is a symbolic link, which !file does not follow",
        "dir/x.txt": "'dir' is a symbolic link, which !file does not follow",
        "d": "'d' is no file",
        "none.txt": "there is no file 'none.txt'",
        "d/x.txt/y": "there is no file 'd/x.txt/y'",
        "large.txt": f"'large.txt' has more than {MAX_INCLUDED_BYTES} bytes",
        "latin.txt": "'latin.txt' is not UTF-8",
        "odd.txt": "'odd.txt' holds control characters",
    }
    repository.write({f"n{number:02}.yaml": says(f"'{name}'") for number, name in enumerate(wanted)})
    loaded = await both(repository, tmp_path)
    assert [one.message for fragment in loaded.fragments for one in fragment.problems] == [
        f"!file: {message}" for message in wanted.values()
    ]


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": says("pipe")})
    os.mkfifo(tmp_path / "pipe")
    assert shown(Loader().load_directory(tmp_path).fragments[0].problems) == [
        "a.yaml:1:82: !file: 'pipe' is no file"
    ]


async def test_a_changed_file_changes_who_takes_it_in_and_nobody_else(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    mirror = GitMirror(tmp_path / "git", repository.url)
    loader = Loader()

    async def load(**files: str) -> Loaded:
        commit = repository.commit({name.replace("_", "."): text for name, text in files.items()})
        await mirror.fetch(commit)
        return await loader.load_commit(mirror, commit, ".")

    await load(a_yaml=says("x.txt"), b_yaml=says("y.txt").replace("p:", "q:"), x_txt="1", y_txt="1")
    assert loader.parsed == 2
    await load(z_txt="1")
    assert loader.parsed == 2
    loaded = await load(x_txt="2")
    assert loader.parsed == 3
    made = compile_fragments(loaded.fragments)
    assert [made.resources["jobset", key].fields["description"] for key in ("p/j", "q/j")] == ["2", "1"]
