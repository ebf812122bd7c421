"""NARs: where they end, what is in them, and what is refused."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.nix.errors import ProtocolError
from fc.nix.nar import EntryType, File, NarEntry, NarParser, Symlink, Tree, encode_nar
from fc.nix.wire import encode_number, encode_string
from tests.support.pieces import cut

OUTPUT: Tree = {
    "bin": {"hello": File(b"#!/bin/sh\necho hello\n", executable=True), "hi": Symlink("hello")},
    "empty": File(b""),
    "nix-support": {"failed": File(b""), "hydra-build-products": File(b"file none /nix/store/x\n")},
    "none": {},
}


def tokens(*parts: str | bytes) -> bytes:
    return b"".join(map(encode_string, parts))


def parse(data: bytes, parser: NarParser | None = None) -> NarParser:
    used = parser or NarParser(listing=True)
    assert used.feed(data) == len(data)
    used.end()
    return used


def test_a_nar_is_written_as_nix_writes_it() -> None:
    assert encode_nar(File(b"hi\n")) == tokens(
        "nix-archive-1", "(", "type", "regular", "contents", "hi\n", ")"
    )
    assert encode_nar({"b": Symlink("/x"), "a": File(b"", executable=True)}) == tokens(
        *("nix-archive-1", "(", "type", "directory"),
        *(
            "entry",
            "(",
            "name",
            "a",
            "node",
            "(",
            "type",
            "regular",
            "executable",
            "",
            "contents",
            "",
            ")",
            ")",
        ),
        *("entry", "(", "name", "b", "node", "(", "type", "symlink", "target", "/x", ")", ")"),
        ")",
    )


def test_everything_in_a_nar_is_listed() -> None:
    parser = parse(encode_nar(OUTPUT))
    assert parser.entries == [
        NarEntry("", EntryType.DIRECTORY),
        NarEntry("bin", EntryType.DIRECTORY),
        NarEntry("bin/hello", EntryType.REGULAR, size=21, executable=True),
        NarEntry("bin/hi", EntryType.SYMLINK, target="hello"),
        NarEntry("empty", EntryType.REGULAR),
        NarEntry("nix-support", EntryType.DIRECTORY),
        NarEntry("nix-support/failed", EntryType.REGULAR),
        NarEntry("nix-support/hydra-build-products", EntryType.REGULAR, size=23),
        NarEntry("none", EntryType.DIRECTORY),
    ]
    assert parser.files == {}


def test_nothing_is_kept_unless_it_is_asked_for() -> None:
    parser = parse(encode_nar(OUTPUT), NarParser())
    assert (parser.entries, parser.files) == ([], {})


def test_wanted_files_are_kept() -> None:
    wanted = {"nix-support/failed", "nix-support/hydra-build-products", "bin", "bin/hi", "absent"}
    parser = parse(encode_nar(OUTPUT), NarParser(wanted=wanted))
    assert parser.files == {
        "nix-support/failed": b"",
        "nix-support/hydra-build-products": b"file none /nix/store/x\n",
    }
    assert parser.too_large == []


def test_a_wanted_file_may_be_the_root() -> None:
    assert parse(encode_nar(File(b"text")), NarParser(wanted={""})).files == {"": b"text"}


def test_a_wanted_file_over_the_limit_is_named_and_passes_by() -> None:
    nar = encode_nar({"a": File(b"12345"), "b": File(b"1234")})
    parser = parse(nar, NarParser(wanted={"a", "b"}, max_file=4, listing=True))
    assert parser.files == {"b": b"1234"}
    assert parser.too_large == ["a"]
    assert [entry.size for entry in parser.entries] == [0, 5, 4]


def test_a_file_without_contents_is_empty() -> None:
    nar = tokens("nix-archive-1", "(", "type", "regular", ")")
    assert parse(nar).entries == [NarEntry("", EntryType.REGULAR)]
    assert parse(nar, NarParser(wanted={""})).files == {"": b""}
    executable = tokens("nix-archive-1", "(", "type", "regular", "executable", "", ")")
    assert parse(executable).entries == [NarEntry("", EntryType.REGULAR, executable=True)]


def test_names_that_are_not_utf_8_are_kept_escaped() -> None:
    nar = encode_nar({b"\xff".decode("utf-8", "surrogateescape"): Symlink("\udcfe")})
    assert parse(nar).entries[1] == NarEntry("\udcff", EntryType.SYMLINK, target="\udcfe")


def test_bytes_after_the_end_are_not_taken() -> None:
    nar = encode_nar(OUTPUT)
    parser = NarParser()
    assert (parser.feed(nar[:-3]), parser.finished) == (len(nar) - 3, False)
    assert (parser.feed(nar[-3:] + b"next"), parser.finished) == (3, True)
    assert parser.feed(b"more") == 0


def test_a_nar_cut_short_is_an_error() -> None:
    parser = NarParser()
    parser.feed(encode_nar(OUTPUT)[:-1])
    with pytest.raises(ProtocolError, match="ended in the middle of a NAR"):
        parser.end()


def test_a_parser_that_failed_fails_for_ever() -> None:
    parser = NarParser()
    with pytest.raises(ProtocolError, match="not a NAR"):
        parser.feed(b"x" * 24)
    with pytest.raises(ProtocolError, match="not a NAR"):
        parser.feed(encode_nar(OUTPUT))
    with pytest.raises(ProtocolError, match="not a NAR"):
        parser.end()


def test_a_huge_file_passes_without_being_held() -> None:
    size = 1 << 40
    head = tokens("nix-archive-1", "(", "type", "regular", "contents") + encode_number(size)
    parser = NarParser()
    parser.feed(head)
    piece = bytes(1 << 20)
    for _ in range(64):
        assert parser.feed(piece) == len(piece)
    assert len(parser._buffer) == 0


def entry(name: str | bytes, *node: str | bytes) -> tuple[str | bytes, ...]:
    return ("entry", "(", "name", name, "node", "(", "type", *(node or ("regular", "contents", "", ")")), ")")


ROOT = ("nix-archive-1", "(", "type", "directory")


@pytest.mark.parametrize(
    ("nar", "reason"),
    [
        (tokens("nix-archive-2"), "not a NAR"),
        (tokens("nix-archive-1", "[", "type"), "not a NAR"),
        (tokens("nix-archive-1", "(", "type", "device"), "not a NAR"),
        (tokens("nix-archive-1", "(", "type", "directoryx"), "not a NAR"),
        (tokens("nix-archive-1", "(", "type", "regular", "executable", "x"), "not a NAR"),
        (tokens("nix-archive-1", "(", "type", "regular", "contents", "x", "x"), "not a NAR"),
        (tokens("nix-archive-1", "(", "type", "regular", "target", "x"), "not a NAR"),
        (
            tokens("nix-archive-1", "(", "type", "regular", "contents", b"x")[:-1] + b"\1" + tokens(")"),
            "not a NAR",
        ),
        (tokens("nix-archive-1", "(", "type", "symlink", "target", "", ")"), "target of 0 bytes"),
        (tokens("nix-archive-1", "(", "type", "symlink", "target", "x" * 4096, ")"), "target of 4096 bytes"),
        (tokens("nix-archive-1", "(", "type", "symlink", "target", "x", "x"), "not a NAR"),
        (tokens(*ROOT, "node"), "not a NAR"),
        (tokens(*ROOT, "entry", "(", "node"), "not a NAR"),
        (tokens(*ROOT, *entry("")), "name or target of 0 bytes"),
        (tokens(*ROOT, *entry("x" * 256)), "name or target of 256 bytes"),
        (tokens(*ROOT, *entry(".")), "the name b'.'"),
        (tokens(*ROOT, *entry("..")), "the name"),
        (tokens(*ROOT, *entry("a/b")), "the name b'a/b'"),
        (tokens(*ROOT, *entry("a\0b")), "the name"),
        (tokens(*ROOT, *entry("b"), *entry("a")), "not sorted: b'a' comes after b'b'"),
        (tokens(*ROOT, *entry("a"), *entry("a")), "not sorted"),
        (tokens(*ROOT, *entry("a")[:-1], "x"), "not a NAR"),
        (tokens(*ROOT, *entry("a", "directory", ")")[:-1], "x"), "not a NAR"),
    ],
)
def test_what_breaks_the_format_is_refused(nar: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        NarParser().feed(nar)


def test_directories_too_deep_are_refused() -> None:
    tree: Tree = {}
    for _ in range(3):
        tree = {"d": tree}
    parse(encode_nar(tree), NarParser(max_depth=4))
    with pytest.raises(ProtocolError, match="more than 3 deep"):
        NarParser(max_depth=3).feed(encode_nar(tree))


def test_too_many_entries_are_refused() -> None:
    nar = encode_nar({"a": File(b""), "b": File(b"")})
    parse(nar, NarParser(max_entries=3))
    with pytest.raises(ProtocolError, match="more entries than allowed"):
        NarParser(max_entries=2).feed(nar)


FILE_NAMES = st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12
).filter(lambda name: name not in {".", ".."})
LEAVES: st.SearchStrategy[Tree] = st.builds(
    File, st.binary(max_size=40), executable=st.booleans()
) | st.builds(Symlink, FILE_NAMES)
TREES: st.SearchStrategy[Tree] = st.recursive(
    LEAVES, lambda nodes: st.dictionaries(FILE_NAMES, nodes, max_size=4), max_leaves=12
)


def walk(tree: Tree, visit: Callable[[str, Tree], None], path: str = "") -> None:
    visit(path, tree)
    if isinstance(tree, dict):
        for name in sorted(tree, key=str.encode):
            walk(tree[name], visit, f"{path}/{name}" if path else name)


@given(TREES, st.lists(st.integers(1, 50)))
def test_trees_survive_the_round_trip_in_any_pieces(tree: Tree, sizes: list[int]) -> None:
    paths: list[str] = []
    contents: dict[str, bytes] = {}

    def visit(path: str, node: Tree) -> None:
        paths.append(path)
        if isinstance(node, File):
            contents[path] = node.contents

    walk(tree, visit)
    parser = NarParser(wanted=paths, listing=True)
    for piece in cut(encode_nar(tree), sizes):
        assert not parser.finished
        assert parser.feed(piece) == len(piece)
    parser.end()
    assert [found.path for found in parser.entries] == paths
    assert parser.files == contents


@given(TREES, st.data())
def test_damaged_nars_are_read_or_refused(tree: Tree, data: st.DataObject) -> None:
    nar = encode_nar(tree)
    position = data.draw(st.integers(0, len(nar)))
    removed = data.draw(st.integers(0, 16))
    damaged = nar[:position] + data.draw(st.binary(max_size=24)) + nar[position + removed :]
    parser = NarParser(listing=True, wanted={"a"})
    try:
        used = parser.feed(damaged)
        parser.end()
    except ProtocolError:
        return
    assert parser.finished
    assert used <= len(damaged)
