"""The fingerprint of a jobset's settings and inputs."""

import itertools

import msgspec

from fc.evaluate.inputs import JobsetFacts, inputs_hash, recorded_inputs
from fc.evaluate.request import Input

FACTS = JobsetFacts(
    nix_expression="release.nix",
    branch="main",
    flake_mode=False,
    restrict_eval=True,
    allow_import_from_derivation=False,
)
LIB = Input(type="git", value="https://example.org/lib", revision="a" * 40)


def test_every_setting_and_every_part_of_an_input_counts() -> None:
    hashes = {
        inputs_hash(FACTS, {}),
        inputs_hash(msgspec.structs.replace(FACTS, nix_expression="other.nix"), {}),
        inputs_hash(msgspec.structs.replace(FACTS, branch="dev"), {}),
        inputs_hash(msgspec.structs.replace(FACTS, branch=None), {}),
        inputs_hash(msgspec.structs.replace(FACTS, flake_mode=True), {}),
        inputs_hash(msgspec.structs.replace(FACTS, restrict_eval=False), {}),
        inputs_hash(msgspec.structs.replace(FACTS, allow_import_from_derivation=True), {}),
        inputs_hash(FACTS, {"lib": LIB}),
        inputs_hash(FACTS, {"other": LIB}),
        inputs_hash(FACTS, {"lib": msgspec.structs.replace(LIB, revision="b" * 40)}),
        inputs_hash(FACTS, {"lib": msgspec.structs.replace(LIB, revision=None)}),
        inputs_hash(FACTS, {"lib": msgspec.structs.replace(LIB, value="x")}),
        inputs_hash(FACTS, {"lib": msgspec.structs.replace(LIB, type="string")}),
    }
    assert len(hashes) == 13
    assert all(len(one) == 64 for one in hashes)


def test_no_value_can_be_taken_for_another() -> None:
    texts = ["", "a", "b", '"', '","', "a\0b", "\n", "é", "\\", "null"]
    hashes = [
        inputs_hash(FACTS, {name: Input(type="string", value=value)})
        for name, value in itertools.product(texts, texts)
    ]
    assert len(set(hashes)) == len(texts) ** 2


def test_neither_order_nor_place_matters() -> None:
    other = Input(type="boolean", value="true")
    assert inputs_hash(FACTS, {"a": LIB, "b": other}) == inputs_hash(FACTS, {"b": other, "a": LIB})
    assert inputs_hash(FACTS, {"a": LIB}) == inputs_hash(
        FACTS, {"a": msgspec.structs.replace(LIB, path="/here")}
    )


def test_what_is_recorded_leads_to_the_same_fingerprint() -> None:
    inputs = {"lib": LIB, "flag": Input(type="boolean", value="true")}
    kept = msgspec.convert(recorded_inputs(inputs), dict[str, Input])
    assert inputs_hash(FACTS, kept) == inputs_hash(FACTS, inputs)
