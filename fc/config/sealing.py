"""The hashes of secrets that rows hold: with them a rotated secret is a change like any other."""

from collections.abc import Callable
from dataclasses import replace

from fc.access.keys import hash_key
from fc.base.errors import SecretMissingError
from fc.base.problems import Problem, sorted_problems
from fc.config.compile import Compiled, Resource, ResourceId, content_hash
from fc.config.language import KIND_BY_NAME, Fields
from fc.config.marks import Part, parts_of


def seal(compiled: Compiled, reveal: Callable[[Fields], str]) -> Compiled:
    """``compiled`` with the hash of each secret whose hash a row holds.

    Args:
        compiled: without problems.
        reveal: value behind a reference to a secret; raises ``SecretMissingError``.
    """
    values: dict[str, str | SecretMissingError] = {}
    resources = dict(compiled.resources)
    parts = dict(compiled.parts or parts_of(resources))
    problems = list(compiled.problems)
    keys: dict[str, ResourceId] = {}
    for file, part in parts.items():
        sealed: dict[ResourceId, Resource] = {}
        for identity in part.sealing:
            resource = part.resources[identity]
            field = KIND_BY_NAME[resource.kind].sealed
            assert field is not None
            name, (line, column) = resource.secrets[field]
            if name not in values:
                values[name] = _value(resource.fields[field], reveal)
            value = values[name]
            if isinstance(value, SecretMissingError):
                problems.append(Problem(file, line, column, f"{field}: {value}"))
                continue
            hashed = hash_key(value)
            sealed[identity] = replace(
                resource, seal=hashed, content_hash=content_hash(resource.fields, hashed)
            )
            if resource.kind == "api_key" and keys.setdefault(hashed, identity) != identity:
                other = keys[hashed][1]
                called = "encrypted secret" if "encrypted" in resource.fields[field] else f"secret {name!r}"
                message = f"{field}: the {called} has the same value as the key of api key {other!r}"
                problems.append(Problem(file, line, column, message))
        if sealed:
            resources.update(sealed)
            parts[file] = Part({**part.resources, **sealed})
    return Compiled(resources, sorted_problems(problems), parts=parts)


def seals(compiled: Compiled) -> frozenset[tuple[str, str, str | None]]:
    """The hashes of secrets in ``compiled``, with kind and key of their resources."""
    return frozenset(
        (*one, part.resources[one].seal) for part in compiled.parts.values() for one in part.sealing
    )


def _value(reference: Fields, reveal: Callable[[Fields], str]) -> str | SecretMissingError:
    try:
        return reveal(reference)
    except SecretMissingError as error:
        return error
