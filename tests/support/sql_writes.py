"""Which tables and columns a Python file writes, read from the SQL in its string constants."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TABLE = r'(?:ONLY\s+)?(?:public\.)?"?(?P<table>[a-z_][a-z0-9_]*|\{[^}]*\}|%\(?\w+\)?s?)"?'
_STATEMENTS = {
    "insert": re.compile(rf"\bINSERT\s+INTO\s+{_TABLE}", re.IGNORECASE),
    # FOR UPDATE and ON CONFLICT DO UPDATE name no table that is followed by SET.
    "update": re.compile(
        rf"(?<!FOR )(?<!DO )\bUPDATE\s+(?!SET\b){_TABLE}(?:\s+(?:AS\s+)?(?!SET\b)\w+)?\s+SET\s+",
        re.IGNORECASE,
    ),
    "delete": re.compile(rf"\b(?:DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?)\s+{_TABLE}", re.IGNORECASE),
    "merge": re.compile(rf"\bMERGE\s+INTO\s+{_TABLE}", re.IGNORECASE),
    "copy": re.compile(rf"\bCOPY\s+{_TABLE}\s*(?:\([^)]*\)\s*)?FROM\b", re.IGNORECASE),
}
_UPSERT = re.compile(r"\bDO\s+UPDATE\s+SET\s+", re.IGNORECASE)
_END = re.compile(r"\b(?:WHERE|(?<!DISTINCT )FROM|RETURNING|ON\s+CONFLICT)\b|;", re.IGNORECASE)
_COLUMN = re.compile(r'\s*(?:\w+\.)?"?(?P<name>[a-z_][a-z0-9_]*|\{[^}]*\})"?\s*=', re.IGNORECASE)
_COLUMNS = re.compile(r"\s*\((?P<names>[^()]*)\)\s*=")
_COPIES = {"copy_records_to_table", "copy_to_table"}


@dataclass(frozen=True)
class Write:
    """One writing statement."""

    line: int
    verb: str
    """``insert``, ``update`` or ``delete``; COPY inserts, MERGE does all."""
    table: str
    """Empty: the statement is put together at run time, and its table cannot be read from it."""
    columns: frozenset[str] = frozenset()
    """What an update assigns; an empty name among them cannot be read."""


def writes_of(path: Path) -> list[Write]:
    """Every writing statement of a file, Python or SQL."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sql":
        return list(_statements(text, 1))
    tree = ast.parse(text, str(path))
    found = [write for line, constant in _strings(tree) for write in _statements(constant, line)]
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _COPIES:
            first = call.args[0] if call.args else None
            named = isinstance(first, ast.Constant) and isinstance(first.value, str)
            found.append(Write(call.lineno, "insert", first.value if named else ""))  # type: ignore[union-attr]  # checked above
    return found


def _strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Text constants that are not docstrings; pieces that are computed stand as ``{}``."""
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inner.add(id(node.value))
        if id(node) in inner or not isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
            continue
        text = _text(node)
        if text is not None:
            inner.update(id(part) for part in ast.walk(node))
            yield node.lineno, text


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "{}" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return None if left is None and right is None else (left or "{}") + (right or "{}")
    return None


def _statements(sql: str, line: int) -> Iterator[Write]:
    for verb, pattern in _STATEMENTS.items():
        for match in pattern.finditer(sql):
            name = match["table"].lower()
            table = "" if name.startswith(("{", "%")) else name
            at = line + sql.count("\n", 0, match.start())
            if verb == "update":
                yield Write(at, "update", table, _assigned(sql, match.end()))
            elif verb == "delete":
                yield Write(at, "delete", table)
            else:
                yield Write(at, "insert", table)
                upsert = _UPSERT.search(sql, match.end(), _next_insert(sql, match.end()))
                if upsert is not None:
                    yield Write(at, "update", table, _assigned(sql, upsert.end()))
            if verb == "merge":
                yield Write(at, "update", table, frozenset({""}))
                yield Write(at, "delete", table)


def _next_insert(sql: str, start: int) -> int:
    following = _STATEMENTS["insert"].search(sql, start)
    return len(sql) if following is None else following.start()


def _assigned(sql: str, start: int) -> frozenset[str]:
    """Columns on the left of the assignments that begin at ``start``."""
    columns: set[str] = set()
    for assignment in _split(sql, start):
        several = _COLUMNS.match(assignment)
        one = _COLUMN.match(assignment)
        names = several["names"].split(",") if several else [one["name"] if one else ""]
        columns.update("" if "{" in name else name.strip().lower() for name in names)
    return frozenset(columns)


def _split(sql: str, start: int) -> Iterator[str]:
    """Pieces between commas, up to the end of the list, without looking into parentheses, CASE or texts."""
    depth, begin, at = 0, start, start
    while at < len(sql):
        character = sql[at]
        if character == "'":
            at = max(sql.find("'", at + 1), at)
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        if depth < 0 or (depth == 0 and _END.match(sql, at) and not sql[at - 1].isalnum()):
            break
        if depth == 0 and character == ",":
            yield sql[begin:at]
            begin = at + 1
        at += 1
    yield sql[begin:at]
