"""Scopes: what a configuration source may declare, by kind and name. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from fc.base.problems import Problem, sorted_problems
from fc.base.source_settings import ScopeRule
from fc.config.compile import Compiled, Resource, ResourceId
from fc.config.language import KIND_BY_NAME


def out_of_scope(resources: Mapping[ResourceId, Resource], scope: Iterable[ScopeRule]) -> list[Problem]:
    """A problem for each resource that no rule of ``scope`` covers; an empty scope covers everything.

    What stands inside a project is not named again: it goes with its project.
    """
    rules = tuple(scope)
    if not rules:
        return []
    return [
        Problem(
            resource.file,
            resource.line,
            resource.column,
            f"{resource.kind.replace('_', ' ')} {resource.key!r} is outside of what this source may declare ({_allowed(rules)})",
        )
        for resource in resources.values()
        if KIND_BY_NAME[resource.kind].parent is None and not covers(rules, resource.kind, resource.key)
    ]


def within(compiled: Compiled, scope: Iterable[ScopeRule]) -> Compiled:
    """``compiled``, with everything that is out of ``scope`` among its problems."""
    strayed = out_of_scope(compiled.resources, scope)
    return (
        replace(compiled, problems=sorted_problems([*compiled.problems, *strayed])) if strayed else compiled
    )


def covers(rules: Iterable[ScopeRule], kind: str, name: str) -> bool:
    """Whether one of ``rules`` lets ``kind`` be declared under ``name``."""
    return any(
        (not rule.kinds or kind in rule.kinds) and any(_matches(name, pattern) for pattern in rule.names)
        for rule in rules
    )


def _matches(name: str, pattern: str) -> bool:
    # Names of roles hold brackets and question marks, which mean nothing here: only the star does.
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))


def _allowed(rules: tuple[ScopeRule, ...]) -> str:
    return "; ".join(
        f"{', '.join(rule.kinds) if rule.kinds else 'any kind'} named {' or '.join(rule.names)}"
        for rule in rules
    )
