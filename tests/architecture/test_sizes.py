"""Files and functions stay small, imports stand at the top, and names say what a file does."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}
LATE_IMPORTS = {"fc/cli"}
"""Where an import may stand inside a function: each command imports what it needs, so ``--help`` is quick."""


def sources(*folders: str) -> list[Path]:
    """Python files that are part of the project: known to git, or new and not ignored by it."""
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            *(f"{name}/*.py" for name in folders),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    found = [ROOT / name for name in listed]
    assert found
    return [path for path in found if path.exists()]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        assert first.end_lineno is not None
        lines -= first.end_lineno - first.lineno + 1
    return lines


def imports_at_the_top(tree: ast.Module) -> Iterator[ast.stmt]:
    """Imports before any other code; a module may be tried, to say in plain words that it is missing."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Try) and all(
            isinstance(step, ast.Import | ast.ImportFrom) for step in node.body
        ):
            yield from node.body
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return


def late_imports(tree: ast.Module) -> list[int]:
    """Lines of imports that follow other code, or are part of it."""
    top = list(imports_at_the_top(tree))
    everywhere = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return sorted(node.lineno for node in everywhere if node not in top)


def type_checking(tree: ast.Module) -> list[int]:
    """Lines that speak of typing's TYPE_CHECKING."""
    found = []
    for node in ast.walk(tree):
        named = isinstance(node, ast.Name) and node.id == "TYPE_CHECKING"
        dotted = isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING"
        imported = isinstance(node, ast.ImportFrom) and any(
            name.name == "TYPE_CHECKING" for name in node.names
        )
        if named or dotted or imported:
            found.append(node.lineno)  # type: ignore[attr-defined]  # all three have a line
    return found


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def test_files_are_short() -> None:
    # A migration is one step of the schema's history and stays in one piece.
    lengths = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources("fc", "tests", "benchmarks")
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_functions_are_short() -> None:
    long = {
        f"{name_of(path)}:{function.lineno} {function.name}": length_of(function)
        for path in sources("fc", "tests", "benchmarks", "migrations")
        for function in functions(parse(path))
        if length_of(function) > LONGEST_FUNCTION
    }
    assert long == {}


def test_imports_stand_at_the_top() -> None:
    late = {
        name_of(path): lines
        for path in sources("fc", "tests", "migrations")
        if not any(path.is_relative_to(ROOT / folder) for folder in LATE_IMPORTS)
        and (lines := late_imports(parse(path)))
    }
    assert late == {}


def test_nothing_is_imported_for_type_checking_alone() -> None:
    found = {
        name_of(path): lines
        for path in sources("fc", "tests", "migrations", "benchmarks")
        if (lines := type_checking(parse(path)))
    }
    assert found == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    vague = [
        name_of(path)
        for path in sources("fc", "tests", "benchmarks")
        if VAGUE & {word for part in path.relative_to(ROOT).with_suffix("").parts for word in part.split("_")}
    ]
    assert vague == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f():\n    return 1\n", 2),
        ('def f():\n    """Say it.\n\n    At length.\n    """\n    return 1\n', 2),
        ("@decorated\nasync def f(\n    a,\n):\n    return a\n", 4),
    ],
)
def test_a_function_is_measured_without_its_docstring(source: str, lines: int) -> None:
    [function] = functions(ast.parse(source))
    assert length_of(function) == lines


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('"""Doc."""\nimport a\nfrom b import c\n', []),
        ("import a\nx = 1\nimport b\n", [3]),
        ("def f():\n    import a\n", [2]),
        ("try:\n    import a\nexcept ImportError as error:\n    raise Missing from error\nimport b\n", []),
        ("try:\n    import a\nexcept ImportError:\n    import b\n", [4]),
        ("if x:\n    import a\n", [2]),
    ],
)
def test_a_late_import_is_found(source: str, lines: list[int]) -> None:
    assert late_imports(ast.parse(source)) == lines


@pytest.mark.parametrize(
    "source", ["from typing import TYPE_CHECKING\n", "import typing\nif typing.TYPE_CHECKING:\n    pass\n"]
)
def test_type_checking_is_found_however_it_is_written(source: str) -> None:
    assert type_checking(ast.parse(source))
