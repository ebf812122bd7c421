"""Requests of the serve protocol, byte by byte, for every version."""

import hashlib

import pytest

from fc.nix import serve
from fc.nix.derivation import BasicDerivation, BasicOutput
from fc.nix.errors import FormatError, ProtocolError
from fc.nix.hashes import format_sha256
from fc.nix.path_info import PathInfo
from fc.nix.serve_replies import Version
from fc.nix.wire import encode_map, encode_number, encode_string, encode_strings

A = "/nix/store/y2yjlvgakv34zr09khygiw84ay9arlcm-a"
B = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-b"
DRV = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-b.drv"
DIGEST = hashlib.sha256(b"").digest()

DERIVATION = BasicDerivation(
    outputs=(BasicOutput("out", B), BasicOutput("doc", A, "sha256", "00")),
    input_srcs=(A,),
    system="x86_64-linux",
    builder="/bin/sh",
    args=("-c", "true"),
    env={"out": B, "name": "b"},
)
ENCODED_DERIVATION = b"".join(
    (
        encode_number(2),
        *(encode_string(text) for text in ("out", B, "", "", "doc", A, "sha256", "00")),
        encode_strings([A]),
        encode_string("x86_64-linux"),
        encode_string("/bin/sh"),
        encode_strings(["-c", "true"]),
        encode_map({"out": B, "name": "b"}),
    ),
)
OPTIONS = serve.BuildOptions(max_silent=1, timeout=2, max_log_size=3, keep_failed=True)


def numbers(*values: int) -> bytes:
    return b"".join(map(encode_number, values))


def at(minor: int) -> serve.Serve:
    return serve.Serve(Version(2, minor))


def test_the_handshake_says_what_we_speak_and_learns_what_the_remote_does() -> None:
    hello = serve.hello()
    assert hello.request == numbers(0x390C9DEB, 0x207)
    receiver = hello.receiver()
    receiver.feed(numbers(0x5452EECB, 0x204))
    assert receiver.end() == Version(2, 4)
    assert serve.hello(announced=Version(2, 4)).request == numbers(0x390C9DEB, 0x204)


@pytest.mark.parametrize(("remote", "spoken"), [(2, 2), (6, 6), (7, 7), (9, 7)])
def test_the_lower_version_is_spoken(remote: int, spoken: int) -> None:
    assert at(remote).version == Version(2, spoken)


def test_valid_paths_are_asked_for() -> None:
    exchange = at(7).query_valid_paths([A, B], lock=True)
    assert exchange.request == numbers(1, 1, 0) + encode_strings([A, B])
    assert at(7).query_valid_paths([], substitute=True).request == numbers(1, 0, 1, 0)
    receiver = exchange.receiver()
    receiver.feed(encode_strings([B]))
    assert receiver.end() == [B]


def test_path_infos_are_asked_for() -> None:
    exchange = at(3).query_path_infos([A])
    assert exchange.request == numbers(2) + encode_strings([A])
    receiver = exchange.receiver()
    receiver.feed(
        encode_string(A) + encode_string(DRV) + encode_strings([B]) + numbers(120, 120) + encode_string("")
    )
    assert receiver.end() == [PathInfo(path=A, deriver=DRV, references=(B,), nar_size=120)]


def test_a_nar_is_asked_for() -> None:
    assert at(7).dump_store_path(A) == numbers(3) + encode_string(A)


def test_a_closure_is_asked_for() -> None:
    exchange = at(7).query_closure([A], include_outputs=True)
    assert exchange.request == numbers(7, 1) + encode_strings([A])
    receiver = exchange.receiver()
    receiver.feed(encode_strings([A, B]))
    assert receiver.end() == [A, B]


@pytest.mark.parametrize(
    ("minor", "settings"),
    [
        (2, numbers(1, 2, 3)),
        (3, numbers(1, 2, 3, 0, 0)),
        (6, numbers(1, 2, 3, 0, 0)),
        (7, numbers(1, 2, 3, 0, 0, 1)),
        (8, numbers(1, 2, 3, 0, 0, 1)),
    ],
)
def test_a_derivation_is_sent_with_the_settings_the_remote_knows(minor: int, settings: bytes) -> None:
    exchange = at(minor).build_derivation(DRV, DERIVATION, OPTIONS)
    assert exchange.request == numbers(8) + encode_string(DRV) + ENCODED_DERIVATION + settings


def test_the_result_of_a_build_is_read_by_the_versions_of_both() -> None:
    receiver = (
        serve.Serve(Version(2, 7), announced=Version(2, 2))
        .build_derivation(DRV, DERIVATION, OPTIONS)
        .receiver()
    )
    receiver.feed(numbers(0, 0) + encode_map({}))
    assert receiver.end().status.is_success


def test_paths_are_built_with_settings() -> None:
    wanted = serve.drv_outputs(DRV, ["out", "doc"])
    assert wanted == f"{DRV}!out,doc"
    assert serve.drv_outputs(DRV) == DRV
    exchange = at(7).build_paths([wanted], serve.BuildOptions())
    assert exchange.request == numbers(6) + encode_strings([wanted]) + numbers(0, 0, 0, 0, 0, 0)
    receiver = exchange.receiver()
    receiver.feed(numbers(0))
    assert receiver.end().status.is_success


def test_a_path_is_put_into_the_store() -> None:
    info = PathInfo(
        path=B,
        deriver=DRV,
        references=(A,),
        nar_size=120,
        nar_hash=format_sha256(DIGEST),
        ca="fixed:sha256:x",
        signatures=("key:sig",),
    )
    exchange = at(5).add_to_store_nar(info)
    assert exchange.request == b"".join(
        (
            numbers(9),
            encode_string(B),
            encode_string(DRV),
            encode_string(DIGEST.hex()),
            encode_strings([A]),
            numbers(0, 120, 0),
            encode_strings(["key:sig"]),
            encode_string("fixed:sha256:x"),
        ),
    )
    receiver = exchange.receiver()
    assert receiver.feed(numbers(1))


def test_a_path_without_a_deriver_is_put_into_the_store() -> None:
    info = PathInfo(path=B, nar_size=120, nar_hash=DIGEST.hex())
    assert at(7).add_to_store_nar(info).request.startswith(numbers(9) + encode_string(B) + encode_string(""))


@pytest.mark.parametrize(
    "info", [PathInfo(path=B, nar_size=120), PathInfo(path=B, nar_size=0, nar_hash=DIGEST.hex())]
)
def test_a_path_without_hash_or_size_is_refused(info: PathInfo) -> None:
    with pytest.raises(FormatError, match="lacks the size or hash"):
        at(7).add_to_store_nar(info)


def test_a_remote_before_2_5_wants_an_import() -> None:
    info = PathInfo(path=B, references=(A,), nar_size=120, nar_hash=DIGEST.hex())
    with pytest.raises(ProtocolError, match="use ImportPaths"):
        at(4).add_to_store_nar(info)
    exchange = at(4).import_paths()
    assert exchange.request == numbers(4)
    assert (numbers(1), numbers(0)) == (serve.IMPORT_NEXT, serve.IMPORT_END)
    trailer = numbers(0x4558494E) + encode_string(B) + encode_strings([A])
    assert serve.import_trailer(info) == trailer + encode_string("") + numbers(0)
    with_deriver = PathInfo(path=B, deriver=DRV, references=(A,), nar_size=120)
    assert serve.import_trailer(with_deriver) == trailer + encode_string(DRV) + numbers(0)
    receiver = exchange.receiver()
    assert receiver.feed(numbers(1))
