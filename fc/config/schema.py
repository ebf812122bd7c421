"""The JSON Schema of the configuration language, for editors."""

from typing import Any

import msgspec

from fc.base.paths import shipped
from fc.config.default_fields import DEFAULTABLE, Document, ProjectFile

SCHEMA_FILE = "fc.schema.json"
PROJECT_FILE = "fc-project.schema.json"
_DURATION = r"^(?:[0-9]+|(?:[0-9]+[smhdw])+)$"


def json_schema() -> dict[str, Any]:
    """The schema of one document."""
    return _schema(
        Document,
        "FC configuration",
        "Made by 'fcctl schema'. In YAML, values may have the tags !secret, !age, !env and !file: tell the editor of them.",
    )


def project_file_schema() -> dict[str, Any]:
    """The schema of a project's own file."""
    return _schema(
        ProjectFile,
        "FC configuration of a project",
        "Made by 'fcctl schema'. In YAML, values may have the tag !file: tell the editor of it.",
    )


def _schema(shape: type[msgspec.Struct], title: str, comment: str) -> dict[str, Any]:
    schema = msgspec.json.schema(shape)
    definitions: dict[str, Any] = schema["$defs"]
    # A file may have nothing in a document or below a kind but comments; FC takes that for an empty mapping.
    for shown, definition in definitions.items():
        for name, one in definition["properties"].items():
            definition["properties"][name] = _property(one)
            if shown.endswith("Defaults"):
                del definition["properties"][name]["default"]
        # What may have a default elsewhere cannot be required here.
        required = [name for name in definition.pop("required", []) if (shown, name) not in DEFAULTABLE]
        if required:
            definition["required"] = required
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "$comment": comment,
        **_described(schema),
        "$defs": {name: _described(one) for name, one in sorted(definitions.items())},
    }


def schema_text() -> str:
    """The schema as it stands in its file."""
    return _text(json_schema())


def schema_files() -> dict[str, str]:
    """Every schema file by its name: the whole, that of projects' own files, and one for files of each kind alone.

    Those of the kinds only point into the whole, so they change when a kind comes or goes and never else.
    """
    whole = json_schema()
    files = {SCHEMA_FILE: _text(whole), PROJECT_FILE: _text(project_file_schema())}
    for section in whole["$defs"]["Document"]["properties"]:
        names = dict.fromkeys((section, "defaults"))
        schema = {
            "$schema": whole["$schema"],
            "title": f"FC configuration: {section}",
            "type": "object",
            "properties": {
                name: {"$ref": f"{SCHEMA_FILE}#/$defs/Document/properties/{name}"} for name in names
            },
            "additionalProperties": False,
        }
        files[f"{section}.schema.json"] = _text(schema)
    return files


def _text(schema: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def shipped_schema() -> str | None:
    """The schema file of this installation, if it is there."""
    file = shipped("config-schema") / SCHEMA_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the names of our classes, which mean nothing to a reader."""
    return {name: value for name, value in schema.items() if name != "title" or "$ref" in schema}


def _property(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("format") == "duration":
        bounds = {name: schema[name] for name in ("minimum", "maximum") if name in schema}
        rest = {name: value for name, value in schema.items() if name not in {"type", "format", *bounds}}
        return {**rest, "anyOf": [{"type": "integer", **bounds}, {"type": "string", "pattern": _DURATION}]}
    if schema.get("type") in {"object", "array"} and "default" in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return schema
