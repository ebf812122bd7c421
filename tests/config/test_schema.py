"""The JSON Schema for editors, and the examples."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from referencing import Registry, Resource
from ruamel.yaml import YAML

from fc.config import nodes
from fc.config.compile import compile_fragments
from fc.config.load import Loader
from fc.config.nodes import compose
from fc.config.project_file import check_file, compile_file, read_file_in
from fc.config.schema import json_schema, project_file_schema, schema_files, schema_text, shipped_schema
from tests.support.configuration import WHOLE, compiled, project, shown

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(set(EXAMPLES.rglob("*.yaml")) - set(EXAMPLES.rglob(".fc.yaml")))
OWN_FILE = EXAMPLES / "project" / ".fc.yaml"


def as_editors_see(text: str) -> list[Any]:
    """Documents as an editor does that was told of the tag !secret."""
    # A tag of one's own is a text to an editor.
    return [
        one
        for one in YAML(typ="safe", pure=True).load_all(re.sub(r"!secret (?=\S)", "", text))
        if one is not None
    ]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_schema_in_the_repository_is_current() -> None:
    assert shipped_schema() == schema_text(), "run: fcctl schema --output config-schema/fc.schema.json"


@pytest.mark.parametrize("name", ["minimal", "full"])
def test_an_example_is_a_valid_configuration(name: str) -> None:
    loaded = Loader().load_directory(EXAMPLES / name)
    made = compile_fragments(loaded.fragments, loaded.problems)
    assert shown(made.problems) == []
    assert made.resources


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(EXAMPLES).as_posix())
def test_the_schema_accepts_the_examples(validator: jsonschema.Draft202012Validator, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for document in as_editors_see(text):
        validator.validate(document)
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named is not None
    assert (file.parent / named[1]).resolve() == (
        EXAMPLES.parent / "config-schema" / "fc.schema.json"
    ).resolve()


def test_the_example_of_a_project_s_own_file_is_valid() -> None:
    fragment = read_file_in(OWN_FILE.parent)
    assert shown(compile_file(fragment, "website").problems) == []
    text = OWN_FILE.read_text(encoding="utf-8")
    for document in as_editors_see(text):
        jsonschema.Draft202012Validator(project_file_schema()).validate(document)
    assert text.startswith("# yaml-language-server: $schema=../../config-schema/fc-project.schema.json\n")


@pytest.mark.parametrize(
    "text", ["users: {}", "projects: {}", "jobsets: {m: {}, n: {secret: x}}", "channels: {c: {}}"]
)
def test_the_schema_of_a_project_s_own_file_refuses_what_fc_refuses(text: str) -> None:
    validator = jsonschema.Draft202012Validator(project_file_schema())
    assert not all(validator.is_valid(document) for document in as_editors_see(text))
    assert compile_file(check_file(compose(".fc.yaml", text.encode()), "", {}, {}), "p").problems


def test_the_full_example_uses_every_field_of_the_language_but_a_few() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
    fields = {name for shape in json_schema()["$defs"].values() for name in shape["properties"]}
    unused = {name for name in fields if not re.search(rf"\b{name}:", text)}
    assert unused == {"public_dashboard", "restrict_eval"}


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        "{}",
        "projects:\n",
        project("p", main="x").replace("branch: x", "check_interval: 90"),
        project("p", main="x").replace("branch: x", "check_interval: 1h30m"),
    ],
)
def test_the_schema_accepts_what_fc_accepts(validator: jsonschema.Draft202012Validator, text: str) -> None:
    assert compiled(text).problems == ()
    for document in as_editors_see(text):
        validator.validate(document)


@pytest.mark.parametrize(
    "text",
    [
        "project: {}",
        "projects: []",
        "projects: {p: {}}",
        "projects: {'a b': {repository_url: /x}}",
        "projects: {p: {repository_url: 'https://user:hunter2@host/x'}}",
        project("p", main="x").replace("branch: x", "brnach: x"),
        project("p", main="x").replace("branch: x", "branch: 23.11"),
        project("p", main="x").replace("branch: x", "check_interval: often"),
        project("p", main="x").replace("branch: x", "check_interval: 0"),
        project("p", main="x").replace("branch: x", "state: on"),
        project("p", main="x").replace("branch: x", "inputs: {i: {type: string, value: x, revision: y}}"),
        "users: {u: {email: nobody}}",
        "remote_builders: {b: {ssh_uri: ssh://h, systems: []}}",
        "worker_pools: {linux: {provider_id: ssh, owner: a@b}}",
    ],
)  # fmt: skip
def test_the_schema_refuses_what_fc_refuses(validator: jsonschema.Draft202012Validator, text: str) -> None:
    assert compiled(text).problems
    assert not all(validator.is_valid(document) for document in as_editors_see(text))


def test_every_schema_file_in_the_repository_is_current_and_none_is_left_over() -> None:
    directory = EXAMPLES.parent / "config-schema"
    assert {file.name: file.read_text(encoding="utf-8") for file in directory.iterdir()} == schema_files(), (
        "run: fcctl schema --output config-schema"
    )


def test_the_schema_of_a_kind_accepts_that_kind_with_its_defaults_and_no_other() -> None:
    files = {name: json.loads(text) for name, text in schema_files().items()}
    registry: Registry[Any] = Registry().with_resources(
        (name, Resource.from_contents(one)) for name, one in files.items()
    )
    for section in ("projects", "users", "roles"):
        of_kind = jsonschema.Draft202012Validator(files[f"{section}.schema.json"], registry=registry)
        assert of_kind.is_valid({"users": {"u": {"email": "a@b"}}}) == (section == "users")
        assert of_kind.is_valid({"projects": {"p": {"repository_url": "/p"}}}) == (section == "projects")
        assert of_kind.is_valid({"defaults": {"users": {"role": "admin"}}})
        assert not of_kind.is_valid({section: {"x": {"nonsense": 1}}})


def test_the_guide_tells_editors_of_every_tag() -> None:
    guide = (EXAMPLES.parent / "docs" / "guide" / "configuration.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"`yaml.customTags: \[(.*?)\]`", guide)
    assert {one.strip(' "') for one in listed.split(",")} == {f"{tag} scalar" for tag in nodes.TAGS}


def test_every_field_and_every_shape_is_described() -> None:
    for name, shape in json_schema()["$defs"].items():
        assert shape["description"], name
        for field, schema in shape["properties"].items():
            assert schema.get("description") or field == "type", f"{name}.{field}"


def test_the_guide_explains_every_field() -> None:
    guide = (EXAMPLES.parent / "docs" / "guide" / "configuration.md").read_text(encoding="utf-8")
    fields = {name for shape in json_schema()["$defs"].values() for name in shape["properties"]}
    assert {name for name in fields if f"`{name}`" not in guide and f"### {name}" not in guide} == set()


def test_the_examples_of_the_guide_are_valid() -> None:
    guide = (EXAMPLES.parent / "docs" / "guide" / "configuration.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(# yaml-language-server.*?)```", guide, re.DOTALL)
    assert blocks
    for block in blocks:
        assert shown(compiled(block).problems) == []
