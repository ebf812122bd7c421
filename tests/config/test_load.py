"""Loading trees: which files count, what is wrong with a tree itself, and that nothing is parsed twice."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fc.base.errors import GitError, InvalidInputError
from fc.base.git import GitMirror
from fc.config import load, tree
from fc.config.blobs import blob_id
from fc.config.compile import compile_fragments
from fc.config.load import Loaded, Loader, read_fragment
from tests.support.configuration import WHOLE, project, shown, write
from tests.support.repository import Repository

EXAMPLES = Path(__file__).parents[2] / "examples"


def names(loaded: Loaded) -> list[str]:
    return [one.file for one in loaded.fragments]


async def both(repository: Repository, tmp_path: Path, path: str = ".") -> Loaded:
    """What the working tree and the commit declare; they must be the same."""
    commit = repository.commit()
    mirror = GitMirror(tmp_path / "git", repository.url)
    await mirror.fetch(commit)
    from_commit = await Loader().load_commit(mirror, commit, path)
    from_directory = Loader().load_directory(repository.path / path)
    assert from_commit.fragments == from_directory.fragments
    assert sorted(from_commit.problems) == sorted(from_directory.problems)
    return from_commit


async def test_every_yaml_file_of_the_tree_is_read_whatever_its_depth(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.write(
        {
            "z.yaml": project("a"),
            "x/y.yml": project("b"),
            "x/y/z/w.yaml": "",
            "README.md": "{",
            "x/notes.txt": "[",
        }
    )
    assert names(await both(repository, tmp_path)) == ["x/y.yml", "x/y/z/w.yaml", "z.yaml"]


async def test_hidden_files_are_left_to_those_who_put_them_there(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.write(
        {
            ".gitlab-ci.yml": "stages: []",
            ".github/workflows/x.yaml": "on: push",
            "a/.b/c.yaml": "x: y",
            "fc.yaml": "",
        }
    )
    assert names(await both(repository, tmp_path)) == ["fc.yaml"]


async def test_only_the_configured_path_is_read(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.write({"docs/mkdocs.yaml": "site_name: x", "ci/fc/a.yaml": project("a")})
    assert names(await both(repository, tmp_path, "ci/fc")) == ["a.yaml"]


async def test_a_path_that_is_not_there_is_an_error_never_an_empty_configuration(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    commit = repository.commit({"a.yaml": project("a")})
    mirror = GitMirror(tmp_path / "git", repository.url)
    await mirror.fetch(commit)
    with pytest.raises(GitError, match="there is nothing at 'fc'"):
        await Loader().load_commit(mirror, commit, "fc")
    with pytest.raises(InvalidInputError, match="there is no such directory"):
        Loader().load_directory(repository.path / "fc")


async def test_symbolic_links_never_lead_out_of_the_tree(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    (tmp_path / "secret.yaml").write_text("roles: {r: {description: x}}", encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    repository.write({"fc/a.yaml": project("a"), "fc/shared.txt": project("b"), "other.yaml": project("c")})
    links = {
        "absolute.yaml": str(tmp_path / "secret.yaml"),
        "climbing.yaml": "../../secret.yaml",
        "directory": "../../elsewhere",
        "neighbour.yaml": "../other.yaml",
        "dangling.yaml": "nothing.yaml",
        "twice.yaml": "a.yaml",
        "here": ".",
        "inside.yaml": "shared.txt",
        "loop.yaml": "loop.yaml",
        "passwd": "/etc/passwd",
    }
    for name, target in links.items():
        (repository.path / "fc" / name).symlink_to(target)
    loaded = await both(repository, tmp_path, "fc")
    assert names(loaded) == ["a.yaml", "inside.yaml"]
    out = "1:1: this symbolic link leads out of the configuration"
    nowhere = "1:1: this symbolic link leads nowhere"
    assert sorted(shown(loaded.problems)) == [
        f"absolute.yaml:{out}",
        f"climbing.yaml:{out}",
        f"dangling.yaml:{nowhere}",
        f"directory:{out}",
        f"loop.yaml:{nowhere}",
        f"neighbour.yaml:{out}",
        f"passwd:{out}",
    ]


async def test_unprintable_file_names_are_refused_and_shown_safely(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.write({"a\x1b[2J.yaml": project("a"), "b.yaml": project("b")})
    loaded = await both(repository, tmp_path)
    assert names(loaded) == ["b.yaml"]
    assert shown(loaded.problems) == [
        "a\\x1b[2J.yaml:1:1: the name of this file has unprintable characters; rename it"
    ]


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "locked.yaml").write_text("", encoding="utf-8")
    (tmp_path / "locked.yaml").chmod(0)
    loaded = Loader().load_directory(tmp_path)
    # Who runs as root may read everything.
    assert shown(loaded.problems) in ([], ["locked.yaml:1:1: cannot be read: Permission denied"])


def test_too_many_or_too_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.yaml": project("a"), "b.yaml": project("b")})
    monkeypatch.setattr(tree, "MAX_FILES", 1)
    with pytest.raises(InvalidInputError, match="more than 1 files"):
        Loader().load_directory(tmp_path)
    monkeypatch.setattr(tree, "MAX_FILES", 2)
    monkeypatch.setattr(tree, "MAX_TOTAL_BYTES", 20)
    with pytest.raises(InvalidInputError, match="20 bytes of YAML"):
        Loader().load_directory(tmp_path)


async def test_a_blob_that_was_read_is_not_parsed_again(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    first = repository.commit({f"{number}.yaml": project(f"p{number}") for number in range(20)})
    mirror = GitMirror(tmp_path / "git", repository.url)
    loader = Loader()
    await mirror.fetch(first)
    before = await loader.load_commit(mirror, first, ".")
    assert loader.parsed == 20
    again = await loader.load_commit(mirror, first, ".")
    assert loader.parsed == 20
    assert all(one is two for one, two in zip(before.fragments, again.fragments, strict=True))
    second = repository.commit({"7.yaml": project("p7", main="x"), "8.yaml": None, "new.yaml": ""})
    await mirror.fetch(second)
    after = await loader.load_commit(mirror, second, ".")
    assert loader.parsed == 22
    assert len(after.fragments) == 20
    assert len(loader._fragments) == 20


def test_equal_files_under_two_names_are_two_declarations(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": project("p"), "b.yaml": project("p")})
    loaded = Loader().load_directory(tmp_path)
    assert shown(compile_fragments(loaded.fragments).problems) == [
        "b.yaml:2:3: project 'p' is declared twice; it stands already at a.yaml:2:3"
    ]


def test_blob_ids_are_those_of_git() -> None:
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_problems_of_one_file_are_counted_when_there_are_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MAX_PROBLEMS", 3)
    text = "roles:\n" + "".join(f"  r{number}: 5\n" for number in range(5))
    assert [str(one) for one in read_fragment("f.yaml", "", text.encode()).problems] == [
        "f.yaml:2:7: role: expected a mapping, found the number 5",
        "f.yaml:3:7: role: expected a mapping, found the number 5",
        "f.yaml:4:7: from here on there are 3 more problems in this file",
    ]


def test_two_hundred_problems_in_a_hundred_files_are_all_reported_with_their_lines(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            f"{number:03}.yaml": f"projects:\n  p{number}:\n    repository_url: 5\n    jobsets: {{j: {{brnach: x, nix_expression: y}}}}\n"
            for number in range(100)
        },
    )
    loaded = Loader().load_directory(tmp_path)
    found = shown(compile_fragments(loaded.fragments, loaded.problems).problems)
    assert [one.split(": ")[0] for one in found] == [
        f"{number:03}.yaml:{place}" for number in range(100) for place in ("3:21", "4:19")
    ]


PLACED = re.compile(r"f\.yaml:[1-9]\d*:[1-9]\d*: \S")
SEEDS = [WHOLE, *(path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.rglob("*.yaml")))]
PIECES = ["", " ", "\n", "\t", ":", ": ", "- ", "{", "}", "[", "]", ",", "&a ", "*a", "<<: ", "!secret ", "!x ", "'", '"', "#", "|", ">", "?", "---\n", "null", "0x1", "1e9", "~", "\\", "é", "\U0001f600", "\x00", "\ufeff", "projects:", "jobsets: ", "x" * 300]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_mutated_configuration_gives_resources_or_placed_problems(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(SEEDS))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.sampled_from([0, 0, 1, 2, 5, 40])))
        text = text[:start] + data.draw(st.sampled_from(PIECES)) + text[end:]
    found = compile_fragments([read_fragment("f.yaml", "", text.encode("utf-8", "surrogatepass"))])
    assert all(PLACED.match(str(problem)) for problem in found.problems)
    assert list(found.problems) == sorted(found.problems)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_resources_or_placed_problems(text: str) -> None:
    found = compile_fragments([read_fragment("f.yaml", "", text.encode("utf-8", "surrogatepass"))])
    assert all(PLACED.match(str(problem)) for problem in found.problems)


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["projects", "p", "jobsets", "inputs", "type", "value", "users", "name"]), inner, max_size=4), max_leaves=20))  # fmt: skip
def test_any_shape_gives_resources_or_placed_problems(value: object) -> None:
    text = repr(value).replace("None", "null").replace("True", "true").replace("False", "false")
    found = compile_fragments([read_fragment("f.yaml", "", text.encode("utf-8", "surrogatepass"))])
    assert all(PLACED.match(str(problem)) for problem in found.problems)
