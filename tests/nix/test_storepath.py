"""Which texts are store paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.nix.errors import FormatError
from fc.nix.storepath import StorePath, is_hash_part, is_store_path, parse_base_name, parse_store_path

HASH = "y2yjlvgakv34zr09khygiw84ay9arlcm"


def test_a_store_path_has_a_hash_part_and_a_name() -> None:
    path = parse_store_path(f"/nix/store/{HASH}-hello-1.0.drv")
    assert path == StorePath(HASH, "hello-1.0.drv")
    assert path.base_name == f"{HASH}-hello-1.0.drv"
    assert str(path) == f"/nix/store/{HASH}-hello-1.0.drv"
    assert path.is_derivation
    assert not parse_base_name(f"{HASH}-hello").is_derivation


@pytest.mark.parametrize("name", ["a", "a" * 211, "0+-._?=Z", ".hidden", "..."])
def test_names_within_the_rules_are_accepted(name: str) -> None:
    assert is_store_path(f"/nix/store/{HASH}-{name}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/nix/store",
        "/nix/store/",
        f"/nix/store/{HASH}",
        f"/nix/store/{HASH}-",
        f"/nix/store/{HASH}-a/b",
        f"/nix/store/../{HASH}-a",
        f"/etc/{HASH}-a",
        f"{HASH}-a",
        f"/nix/store/{HASH[:-1]}-a",
        f"/nix/store/{HASH[:-1]}e-a",
        f"/nix/store/{HASH}-a b",
        f"/nix/store/{HASH}-a\n",
        f"/nix/store/{HASH}-é",
        f"/nix/store/{HASH}-" + "a" * 212,
        f"/nix/store/{HASH}-.",
        f"/nix/store/{HASH}-..",
        f"/nix/store/{HASH}-.-a",
        f"/nix/store/{HASH}-..-a",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    assert not is_store_path(text)
    with pytest.raises(FormatError):
        parse_store_path(text)


def test_a_hash_part_is_32_characters_of_the_alphabet() -> None:
    assert is_hash_part(HASH)
    assert not is_hash_part(HASH + "0")
    assert not is_hash_part(HASH[:-1] + "\n")
    assert not is_hash_part("e" * 32)


@given(st.from_regex(r"[0-9a-df-np-sv-z]{32}-[0-9A-Za-z+_?=][0-9A-Za-z+._?=-]{0,20}", fullmatch=True))
def test_valid_paths_survive_the_round_trip(base_name: str) -> None:
    assert str(parse_store_path(f"/nix/store/{base_name}")) == f"/nix/store/{base_name}"


@given(st.text())
def test_arbitrary_text_is_a_path_or_a_format_error(text: str) -> None:
    for candidate in (text, f"/nix/store/{text}", f"/nix/store/{HASH}-{text}"):
        assert is_store_path(candidate) in {True, False}
