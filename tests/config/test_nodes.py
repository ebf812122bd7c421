"""YAML as text: every hostile or broken file ends in problems with places, never in an exception."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fc.config import nodes
from fc.config.nodes import Mapping, Scalar, Sequence, compose
from tests.support.configuration import shown


def problems(data: bytes | str) -> list[str]:
    raw = data.encode() if isinstance(data, str) else data
    return shown(compose("f.yaml", raw)[1])


def plain(node: object) -> object:
    """A node as Python values, scalars as texts."""
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node.items}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    return node.text


def read(text: str) -> object:
    documents, found, whole = compose("f.yaml", text.encode())[:3]
    assert not found
    assert whole
    return plain(documents[0])


def test_every_node_knows_its_line_and_column() -> None:
    documents, _, _ = compose("f.yaml", "a:\n  - é: x\n    b: y\n".encode())[:3]
    top = documents[0]
    assert isinstance(top, Mapping)
    items = top.items[0][1]
    assert isinstance(items, Sequence)
    first = items.items[0]
    assert isinstance(first, Mapping)
    assert [(key.text, key.line, key.column, value.line, value.column) for key, value in first.items] == [
        ("é", 2, 5, 2, 8),
        ("b", 3, 5, 3, 8),
    ]


def test_all_documents_of_a_file_are_read() -> None:
    documents, found, whole = compose("f.yaml", b"a: 1\n---\n# nothing\n---\nb: 2\n")[:3]
    assert [plain(one) for one in documents] == [{"a": "1"}, "", {"b": "2"}]
    assert (found, whole) == ([], True)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\ufeff", "---\n...\n"])
def test_a_file_may_hold_nothing(text: str) -> None:
    _, found, whole = compose("f.yaml", text.encode())[:3]
    assert (found, whole) == ([], True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{uri: ssh://builder@host:22/x?y=1}", {"uri": "ssh://builder@host:22/x?y=1"}),
        ("[a:b, c?d]", ["a:b", "c?d"]),
        ("{\"a\":b, 'c':d}", {"a": "b", "c": "d"}),
        ("a: b:c?d # e:f", {"a": "b:c?d"}),
        ('a: "b:c"', {"a": "b:c"}),
        ("a: |\n  b:c\n", {"a": "b:c\n"}),
        ("https://x: y", {"https://x": "y"}),
    ],
)
def test_colons_and_question_marks_inside_plain_text_are_text(text: str, value: object) -> None:
    assert read(text) == value


def test_aliases_and_merge_keys_are_resolved() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [*a, {y: 9, z: 4}]}\nd: *a\n"
    assert read(text) == {
        "a": {"x": "1", "y": "2"},
        "b": {"y": "3", "x": "1"},
        "c": {"x": "1", "y": "2", "z": "4"},
        "d": {"x": "1", "y": "2"},
    }


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a: [b\n\n", "f.yaml:1:6: not valid YAML: while parsing a flow sequence: did not find expected ',' or ']'"),
        ("a: [\n  b\nc: d\n", "f.yaml:3:2: not valid YAML: while parsing a flow sequence that begins at line 1: did not find expected ',' or ']'"),
        ("a:\n\t- b", "f.yaml:2:1: not valid YAML: while scanning for the next token"),
        ("%YAML 3.0\n---\na: b", "f.yaml:1:1: not valid YAML: found incompatible YAML document"),
        (b"a: b\nc: \xff\n", "f.yaml:2:4: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("a: b".encode("utf-16"), "f.yaml:1:1: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"a: \x1b[2J", "f.yaml:1:4: the character U+001B cannot stand in YAML"),
        ('a: "x\\0y"', "f.yaml:1:4: the character U+0000 cannot be stored"),
        ("a: *nope", "f.yaml:1:4: there is no anchor &nope before this alias"),
        ("a: &name x\nb: *nmae", "f.yaml:2:4: there is no anchor &nmae before this alias; did you mean 'name'?"),
        ("a: &a [*a]", "f.yaml:1:8: the alias *a stands inside what it stands for: a cycle"),
        ("a: &a {<<: *a}", "f.yaml:1:12: the alias *a stands inside what it stands for: a cycle"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1: duplicate key 'a'; it stands already at line 1, column 1"),
        ("? [a]\n: b", "f.yaml:1:3: a key is a single text"),
        ("a: !sercet b", "f.yaml:1:4: unknown tag !sercet; known are !secret, !env, !file, !age and !!str; did you mean '!secret'?"),
        ("a: !!python/none b", "f.yaml:1:4: unknown tag !!python/none; known are !secret, !env, !file, !age and !!str"),
        ("a: !!python/object:os.system b", "f.yaml:1:19: not valid YAML: while scanning a tag"),
        ("a: !secret [b]", "f.yaml:1:4: !secret is followed by the name of a secret"),
        ("a: {<<: b}", "f.yaml:1:5: << merges a mapping, or a list of mappings"),
        ("a: {<<: [b, {c: d}]}", "f.yaml:1:5: << merges a mapping, or a list of mappings"),
        ("[" * 100_000, "f.yaml:1:33: nested deeper than 32 levels"),
        ("- " * 100_000, "f.yaml:1:65: nested deeper than 32 levels"),
        ("{a: " * 10_000, "f.yaml:1:129: nested deeper than 32 levels"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_problem_at_its_place(data: bytes | str, expected: str) -> None:
    found = problems(data)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_an_exploding_alias_is_refused_before_it_explodes() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    found = problems("\n".join(lines))
    assert len(found) == 1
    assert found[0].endswith("aliases add more than 100000 nodes to this file")


def test_exploding_merge_keys_are_refused_too() -> None:
    base = "{" + ", ".join(f"k{n}: v" for n in range(200)) + "}"
    lines = [f"a: &a {base}", *(f"b{n}: {{<<: [{', '.join(['*a'] * 50)}]}}" for n in range(50))]
    assert problems("\n".join(lines))[-1].endswith("aliases add more than 100000 nodes to this file")


def test_a_file_over_the_limit_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "MAX_BYTES", 10)
    assert problems("a: b\nc: d\n") == []
    assert problems("a: b\nc: de\n") == [
        "f.yaml:1:1: the file has 11 bytes; at most 10 are read, so split it"
    ]


def test_problems_before_a_syntax_error_are_kept() -> None:
    assert problems("a: 1\na: 2\n---\nb: [\n") == [
        "f.yaml:2:1: duplicate key 'a'; it stands already at line 1, column 1",
        "f.yaml:4:5: not valid YAML: while parsing a flow node: did not find expected node content",
    ]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("x", "text"), ("yes", "text"), ("'5'", "text"), ("!!str 5", "text"), ("2026-11-22", "text"), ("1:30", "text"),
        ("5", "integer"), ("-5", "integer"), ("0", "integer"), ("010", "number"), ("0x1f", "number"),
        ("12e4567", "number"), ("1_000", "number"), (".5", "number"), (".inf", "number"), (".nan", "number"),
        ("12345678901234567890", "number"), ("true", "boolean"), ("False", "boolean"),
        ("~", "nothing"), ("", "nothing"), ("null", "nothing"),
    ],
)  # fmt: skip
def test_plain_text_means_what_yaml_1_2_says(text: str, meaning: str) -> None:
    documents, _, _ = compose("f.yaml", f"a: {text}".encode())[:3]
    top = documents[0]
    assert isinstance(top, Mapping)
    value = top.items[0][1]
    assert isinstance(value, Scalar)
    assert nodes.meaning(value) == meaning


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_documents_or_problems(data: bytes) -> None:
    documents, found, whole = compose("f.yaml", data)[:3]
    assert whole or found
    assert all(problem.line >= 1 and problem.column >= 1 for problem in found)
    assert all(plain(one) is not None for one in documents)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="ab:?-,[]{}&*!|>'\"%@`# \n\t~<1.\\", max_size=60))
def test_any_mixture_of_indicators_gives_documents_or_problems(text: str) -> None:
    _, found, whole = compose("f.yaml", text.encode())[:3]
    assert whole or found
