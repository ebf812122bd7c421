"""Derivations: parsing, writing, and what they ask of a builder."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.nix.derivation import (
    BasicDerivation,
    BasicOutput,
    Derivation,
    basic_derivation,
    format_derivation,
    parse_derivation,
)
from fc.nix.errors import FormatError

OUT = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-hello"
DEV = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr31-hello-dev"
INPUT = "/nix/store/y2yjlvgakv34zr09khygiw84ay9arlcm-input.drv"
INPUT_OUT = "/nix/store/z2yjlvgakv34zr09khygiw84ay9arlcm-input"
SOURCE = "/nix/store/02yjlvgakv34zr09khygiw84ay9arlcm-source"

# As Nix 2.8 writes it.
HELLO = (
    rb'Derive([("dev","%(dev)s","",""),("out","%(out)s","","")],[("%(input)s",["out"])],["%(source)s"],'
    rb'"x86_64-linux","/bin/sh",["-c","echo hi > $out"],[("builder","/bin/sh"),("name","hello"),("out","%(out)s"),'
    rb'("quote","a\"b\n\t\r\\c${x}"),("system","x86_64-linux")])'
) % {b"out": OUT.encode(), b"dev": DEV.encode(), b"input": INPUT.encode(), b"source": SOURCE.encode()}


def make(env: dict[str, str] | None = None, **fields: Any) -> Derivation:
    defaults: dict[str, Any] = {
        "outputs": (BasicOutput("out", OUT),),
        "input_drvs": {},
        "input_srcs": (),
        "system": "x86_64-linux",
        "builder": "/bin/sh",
        "args": (),
        "env": env or {},
    }
    return Derivation(**(defaults | fields))


def structured(attrs: Any) -> Derivation:
    return make({"__json": msgspec.json.encode(attrs).decode()})


def test_a_derivation_is_read_whole() -> None:
    assert parse_derivation(HELLO) == Derivation(
        outputs=(BasicOutput("dev", DEV), BasicOutput("out", OUT)),
        input_drvs={INPUT: ("out",)},
        input_srcs=(SOURCE,),
        system="x86_64-linux",
        builder="/bin/sh",
        args=("-c", "echo hi > $out"),
        env={
            "builder": "/bin/sh",
            "name": "hello",
            "out": OUT,
            "quote": 'a"b\n\t\r\\c${x}',
            "system": "x86_64-linux",
        },
    )


def test_a_derivation_is_written_byte_for_byte() -> None:
    assert format_derivation(parse_derivation(HELLO)) == HELLO


def test_bytes_that_are_not_text_are_kept_in_variables() -> None:
    data = HELLO.replace(b"hi >", b"\xff\xfe >").replace(b"c${x}", b"\xc3")
    derivation = parse_derivation(data)
    assert derivation.args[1].encode("utf-8", "surrogateescape") == b"echo \xff\xfe > $out"
    assert format_derivation(derivation) == data


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"Derive(", b"DrvWithVersion(", "is expected at character 0"),
        (b'"system","x86_64-linux")])', b'"system","x86_64-linux")])x', "nothing more"),
        (b'"x86_64-linux","/bin/sh",[', b'x,"/bin/sh",[', "a string is expected"),
        (b'"x86_64-linux","/bin/sh",[', b'"\xff","/bin/sh",[', "that is text"),
        (b'"x86_64-linux","/bin/sh",[', b'"x","\0",[', "that is text"),
        (b'["%s"]' % SOURCE.encode(), b'["/etc"]', "a store path is expected instead of '/etc'"),
        (b'["%s"]' % SOURCE.encode(), b'["%s""x"]' % SOURCE.encode(), "',' is expected"),
        (b'"out","%s","",""' % OUT.encode(), b'"out","/etc","",""', "an output's path"),
        (b'"out","%s","",""' % OUT.encode(), b'"o t","%s","",""' % OUT.encode(), "the name of an output"),
        (b'"dev"', b'"out"', "comes twice"),
        (b'"name"', b'"out"', "comes twice"),
        (INPUT.encode(), b"input", "a store path is expected"),
    ],
)
def test_what_breaks_the_format_is_refused(old: bytes, new: bytes, reason: str) -> None:
    assert old in HELLO
    with pytest.raises(FormatError, match=reason):
        parse_derivation(HELLO.replace(old, new, 1))


@pytest.mark.parametrize("length", [0, 1, 7, 20, 100, 200, 400, len(HELLO) - 1])
def test_a_derivation_cut_short_is_refused(length: int) -> None:
    with pytest.raises(FormatError):
        parse_derivation(HELLO[:length])


def test_features_come_from_the_environment() -> None:
    assert make().required_system_features == ()
    assert make({"requiredSystemFeatures": " kvm  big-parallel\n"}).required_system_features == (
        "big-parallel",
        "kvm",
    )


def test_features_are_always_text() -> None:
    assert make({"requiredSystemFeatures": "a\udcffb\0c"}).required_system_features == ("a?b?c",)


def test_features_come_from_structured_attributes() -> None:
    derivation = structured({"requiredSystemFeatures": ["kvm", 1, "a\0b"], "preferLocalBuild": True})
    assert derivation.structured_attrs is not None
    assert derivation.required_system_features == ("a?b", "kvm")
    assert derivation.prefer_local_build
    assert structured({"requiredSystemFeatures": "kvm"}).required_system_features == ()


@pytest.mark.parametrize("text", ["", "[]", "{", "\udcff", '{"x":' + "[" * 10000])
def test_structured_attributes_that_cannot_be_read_count_as_none(text: str) -> None:
    derivation = make({"__json": text, "requiredSystemFeatures": "kvm"})
    assert derivation.structured_attrs is None
    assert derivation.required_system_features == ("kvm",)


def test_a_local_build_is_preferred_when_the_variable_is_one() -> None:
    assert make({"preferLocalBuild": "1"}).prefer_local_build
    assert not make({"preferLocalBuild": ""}).prefer_local_build
    assert not make().prefer_local_build
    assert not structured({"preferLocalBuild": 1}).prefer_local_build


def test_a_fixed_output_has_a_hash() -> None:
    assert make(outputs=(BasicOutput("out", OUT, "r:sha256", "00"),)).is_fixed_output
    assert not make(outputs=(BasicOutput("out", "", "r:sha256", ""),)).is_fixed_output
    assert not make(outputs=(BasicOutput("out", "", "r:sha256", "impure"),)).is_fixed_output
    assert not make().is_fixed_output


def test_an_output_without_a_path_needs_content_addressed_derivations() -> None:
    floating = make(outputs=(BasicOutput("out", "", "r:sha256", ""),))
    assert floating.is_floating
    assert floating.required_system_features == ("ca-derivations",)
    assert not make().is_floating


def test_a_builtin_builder_is_nix_itself() -> None:
    assert make(builder="builtin:fetchurl").is_builtin
    assert not make().is_builtin


def test_a_builder_is_sent_sources_and_resolved_inputs() -> None:
    derivation = parse_derivation(HELLO)
    assert basic_derivation(derivation, [INPUT_OUT, SOURCE]) == BasicDerivation(
        outputs=derivation.outputs,
        input_srcs=(SOURCE, INPUT_OUT),
        system="x86_64-linux",
        builder="/bin/sh",
        args=derivation.args,
        env=derivation.env,
    )


RAW_TEXTS = st.binary(max_size=30).map(lambda data: data.decode("utf-8", "surrogateescape"))
PLAIN_TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
PATHS = st.from_regex(r"/nix/store/[0-9a-df-np-sv-z]{32}-[a-z][a-z.\"]{0,4}", fullmatch=True).map(
    lambda path: path.replace('"', "x")
)
NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
DERIVATIONS = st.builds(
    Derivation,
    outputs=st.lists(
        st.builds(BasicOutput, NAMES, st.just("") | PATHS, PLAIN_TEXTS, PLAIN_TEXTS),
        unique_by=lambda output: output.name,
    ).map(tuple),
    input_drvs=st.dictionaries(PATHS, st.lists(NAMES, max_size=3).map(tuple), max_size=4),
    input_srcs=st.lists(PATHS, max_size=4).map(tuple),
    system=PLAIN_TEXTS,
    builder=PLAIN_TEXTS,
    args=st.lists(RAW_TEXTS, max_size=4).map(tuple),
    env=st.dictionaries(RAW_TEXTS, RAW_TEXTS, max_size=4),
)


@given(DERIVATIONS)
def test_derivations_survive_the_round_trip(derivation: Derivation) -> None:
    assert parse_derivation(format_derivation(derivation)) == derivation


@given(st.data())
def test_damaged_derivations_give_a_derivation_or_a_format_error(data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(HELLO)))
    removed = data.draw(st.integers(0, 8))
    damaged = HELLO[:position] + data.draw(st.binary(max_size=8)) + HELLO[position + removed :]
    try:
        derivation = parse_derivation(damaged)
    except FormatError:
        return
    assert parse_derivation(format_derivation(derivation)) == derivation
