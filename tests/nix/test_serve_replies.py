"""Replies of the serve protocol: every version, every way to be wrong, in any pieces."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.nix.build_result import BuildResult, BuildStatus
from fc.nix.errors import ProtocolError
from fc.nix.hashes import format_sha256
from fc.nix.path_info import PathInfo
from fc.nix.serve_replies import (
    Version,
    read_acknowledgement,
    read_build_paths,
    read_build_result,
    read_hello,
    read_path_infos,
    read_store_paths,
)
from fc.nix.wire import Limits, Reading, Receiver, encode_map, encode_number, encode_string, encode_strings
from tests.support.pieces import cut

A = "/nix/store/y2yjlvgakv34zr09khygiw84ay9arlcm-a"
B = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-b"
DRV = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-b.drv"
HASH = format_sha256(hashlib.sha256(b"").digest())
LIMITS = Limits(string=4096, items=4, message=65536)


def numbers(*values: int) -> bytes:
    return b"".join(map(encode_number, values))


def read(reading: Reading[Any], data: bytes) -> Any:
    receiver = Receiver(reading, LIMITS)
    assert receiver.feed(data)
    assert receiver.rest == b""
    return receiver.end()


def test_a_remote_that_greets_people_is_refused() -> None:
    with pytest.raises(ProtocolError, match="began with b'Welcome!'"):
        read(read_hello(), b"Welcome!")


@pytest.mark.parametrize("number", [0x0, 0x107, 0x201, 0x300, 1 << 63])
def test_versions_before_2_2_and_from_3_on_are_refused(number: int) -> None:
    with pytest.raises(ProtocolError, match="or a later"):
        read(read_hello(), numbers(0x5452EECB, number))


def test_versions_between_are_accepted() -> None:
    assert read(read_hello(), numbers(0x5452EECB, 0x202)) == Version(2, 2)
    assert read(read_hello(), numbers(0x5452EECB, 0x2FF)) == Version(2, 255)


def test_the_acknowledgement_is_a_one() -> None:
    assert read(read_acknowledgement(), numbers(1)) is None
    with pytest.raises(ProtocolError, match="with 0 instead of 1"):
        read(read_acknowledgement(), numbers(0))


def test_a_path_outside_the_store_is_refused() -> None:
    assert read(read_store_paths(LIMITS), encode_strings([A, B])) == [A, B]
    with pytest.raises(ProtocolError, match="/etc/passwd"):
        read(read_store_paths(LIMITS), encode_strings([A, "/etc/passwd"]))


def _info(path: str, deriver: str, more: bytes = b"") -> bytes:
    return encode_string(path) + encode_string(deriver) + encode_strings([B]) + numbers(7, 120) + more


NEW = encode_string(HASH) + encode_string("ca") + encode_strings(["k:s"])


def test_path_infos_end_with_an_empty_path() -> None:
    data = _info(A, "", NEW) + _info(B, DRV, NEW) + encode_string("")
    fields: dict[str, Any] = {
        "references": (B,),
        "nar_size": 120,
        "nar_hash": HASH,
        "ca": "ca",
        "signatures": ("k:s",),
    }
    assert read(read_path_infos(Version(2, 4), LIMITS), data) == [
        PathInfo(path=A, **fields),
        PathInfo(path=B, deriver=DRV, **fields),
    ]
    assert read(read_path_infos(Version(2, 7), LIMITS), encode_string("")) == []


def test_path_infos_before_2_4_have_no_hash() -> None:
    data = _info(A, DRV) + encode_string("")
    expected = [PathInfo(path=A, deriver=DRV, references=(B,), nar_size=120)]
    assert read(read_path_infos(Version(2, 3), LIMITS), data) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_info("/etc/a", "", NEW), "/etc/a"),
        (_info(A, "b.drv", NEW), "b.drv"),
        (_info(A, "", encode_string("sha256:x") + encode_string("") + encode_strings([])), "SHA-256"),
        (_info(A, "", NEW) * 5, "more than 4 paths"),
    ],
)
def test_path_infos_that_make_no_sense_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        read(read_path_infos(Version(2, 7), LIMITS), data + encode_string(""))


def test_building_paths_ends_well_with_a_zero() -> None:
    assert read(read_build_paths(LIMITS), numbers(0)) == BuildResult(status=BuildStatus.BUILT)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (1, BuildStatus.MISC_FAILURE),
        (2, BuildStatus.MISC_FAILURE),
        (100, BuildStatus.PERMANENT_FAILURE),
        (101, BuildStatus.TIMED_OUT),
        (102, BuildStatus.OUTPUT_REJECTED),
        (104, BuildStatus.NOT_DETERMINISTIC),
    ],
)
def test_building_paths_fails_with_an_exit_status_and_a_message(number: int, status: BuildStatus) -> None:
    data = numbers(number) + encode_string("\x1b[31;1merror:\x1b[0m no")
    assert read(read_build_paths(LIMITS), data) == BuildResult(status=status, message="error: no")


def test_a_message_may_hold_any_bytes() -> None:
    result = read(read_build_paths(LIMITS), numbers(3) + encode_string(b"\xff\0"))
    assert result.message == "\ufffd\ufffd"


REALISATION = '{"dependentRealisations":{},"id":"sha256:00!out","outPath":"%s","signatures":[]}'
BUILT = encode_map({"sha256:00!out": REALISATION % B.rpartition("/")[2]})
TIMES = numbers(1, 0, 1000, 1002)


def test_the_result_of_a_build_before_2_3_has_no_times() -> None:
    reading = read_build_result(Version(2, 2), Version(2, 2), LIMITS)
    assert read(reading, numbers(2, 0)) == BuildResult(status=BuildStatus.ALREADY_VALID)


def test_the_result_of_a_build_before_2_6_names_no_outputs() -> None:
    reading = read_build_result(Version(2, 5), Version(2, 5), LIMITS)
    expected = BuildResult(status=BuildStatus.BUILT, times_built=1, start_time=1000, stop_time=1002)
    assert read(reading, numbers(0, 0) + TIMES) == expected


def test_a_status_of_a_later_nix_is_a_miscellaneous_failure() -> None:
    result = read(read_build_result(Version(2, 2), Version(2, 2), LIMITS), numbers(99) + encode_string("new"))
    assert (result.status, result.message) == (BuildStatus.MISC_FAILURE, "(build status 99) new")


@pytest.mark.parametrize("announced", [3, 4, 6, 7])
def test_a_remote_of_2_6_sends_outputs_to_every_client(announced: int) -> None:
    reading = read_build_result(Version(2, 7), Version(2, announced), LIMITS)
    result = read(reading, numbers(12) + encode_string("differs") + numbers(2, 1, 1000, 1002) + BUILT)
    assert result == BuildResult(
        status=BuildStatus.NOT_DETERMINISTIC,
        message="differs",
        times_built=2,
        is_non_deterministic=True,
        start_time=1000,
        stop_time=1002,
        built_outputs={"out": B},
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sha256:00!out", "no JSON"),
        ("sha256:00!out", "{}"),
        ("sha256:00!out", REALISATION % "/nix/store/b"),
        ("sha256:00!out", '{"x":' + "[" * 4000),
        ("sha256:00!", REALISATION % B.rpartition("/")[2]),
        ("out", REALISATION % B.rpartition("/")[2]),
    ],
)
def test_a_realisation_that_makes_no_sense_is_refused(key: str, value: str) -> None:
    reading = read_build_result(Version(2, 7), Version(2, 7), LIMITS)
    with pytest.raises(ProtocolError, match="realisation"):
        read(reading, numbers(0, 0) + TIMES + encode_map({key: value}))


READINGS: list[tuple[Callable[[], Reading[Any]], bytes]] = [
    (read_hello, numbers(0x5452EECB, 0x207)),
    (read_acknowledgement, numbers(1)),
    (lambda: read_store_paths(LIMITS), encode_strings([A, B])),
    (lambda: read_path_infos(Version(2, 7), LIMITS), _info(A, DRV, NEW) + encode_string("")),
    (lambda: read_build_paths(LIMITS), numbers(3) + encode_string("no")),
    (lambda: read_build_result(Version(2, 7), Version(2, 7), LIMITS), numbers(0, 0) + TIMES + BUILT),
]


@given(st.sampled_from(READINGS), st.lists(st.integers(1, 30), min_size=1))
def test_replies_in_any_pieces_are_read_the_same(
    case: tuple[Callable[[], Reading[Any]], bytes], sizes: list[int]
) -> None:
    reading, data = case
    receiver = Receiver(reading(), LIMITS)
    for piece in cut(data, sizes):
        assert not receiver.finished
        receiver.feed(piece)
    assert receiver.end() == read(reading(), data)


@given(st.sampled_from(READINGS), st.data())
def test_damaged_replies_give_a_value_or_a_protocol_error(
    case: tuple[Callable[[], Reading[Any]], bytes], data: st.DataObject
) -> None:
    reading, whole = case
    position = data.draw(st.integers(0, len(whole)))
    removed = data.draw(st.integers(0, 16))
    damaged = whole[:position] + data.draw(st.binary(max_size=24)) + whole[position + removed :]
    receiver = Receiver(reading(), LIMITS)
    try:
        receiver.feed(damaged)
        receiver.end()
    except ProtocolError:
        return
    assert receiver.finished
