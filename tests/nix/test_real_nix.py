"""The protocols and formats against the Nix of this machine."""

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from fc.base.nix_cli import Nix
from fc.nix import serve
from fc.nix.build_result import BuildResult, BuildStatus
from fc.nix.derivation import Derivation, basic_derivation, format_derivation, parse_derivation
from fc.nix.errors import ProtocolError
from fc.nix.hashes import parse_sha256
from fc.nix.nar import EntryType, File, NarEntry, NarParser, Symlink, encode_nar
from fc.nix.narinfo import fingerprint
from fc.nix.serve_replies import Version
from fc.nix.signing import SigningKey, verify
from tests.support.serve_process import ServeProcess

pytestmark = pytest.mark.skipif(shutil.which("nix-store") is None, reason="Nix is not installed")

OPTIONS = serve.BuildOptions(timeout=300)
MISSING = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-missing"

EXPRESSION = """
let
  make = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
  base = make "base" "echo building base >&2; echo base > $out";
in {
  inherit base;
  top = make "top" "echo ${base} > $out";
  quoted = make "quoted" "echo 'a\\"b\\\\c\\ttab\\nline' > $out";
  broken = make "broken" "echo it breaks >&2; exit 3";
  wordy = make "wordy" "while :; do echo a line of a long log >&2; done";
  endless = make "endless" "while :; do :; done";
  needy = derivation {
    name = "needy";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    __structuredAttrs = true;
    requiredSystemFeatures = [ "kvm" "big-parallel" ];
    preferLocalBuild = true;
  };
  fixed = derivation {
    name = "fixed";
    system = "builtin";
    builder = "builtin:fetchurl";
    url = "http://127.0.0.1:1/";
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  };
}
"""


class Store:
    """Derivations of the expression above in the head's store."""

    def __init__(self, nix: Nix, directory: Path) -> None:
        self.nix = nix
        self._file = directory / "expression.nix"
        self._file.write_text(EXPRESSION)

    def instantiate(self, attribute: str) -> str:
        return self._run(self.nix.command("nix-instantiate", str(self._file), "-A", attribute))

    def read(self, drv_path: str) -> bytes:
        return self.nix.physical(drv_path).read_bytes()

    def derivation(self, attribute: str) -> tuple[str, Derivation]:
        drv_path = self.instantiate(attribute)
        return drv_path, parse_derivation(self.read(drv_path))

    def inputs(self, derivation: Derivation) -> list[str]:
        return [
            output.path
            for path, names in derivation.input_drvs.items()
            for output in parse_derivation(self.read(path)).outputs
            if output.name in names
        ]

    def build(
        self, process: ServeProcess, attribute: str, options: serve.BuildOptions = OPTIONS
    ) -> BuildResult:
        drv_path, derivation = self.derivation(attribute)
        basic = basic_derivation(derivation, self.inputs(derivation))
        return process.run(process.serve.build_derivation(drv_path, basic, options))

    def _run(self, command: list[str]) -> str:
        run = subprocess.run(command, env=self.nix.environment(), check=True, capture_output=True, text=True)
        return run.stdout.strip()


@pytest.fixture
def store(nix: Nix, tmp_path: Path) -> Store:
    return Store(nix, tmp_path)


def out(derivation: Derivation) -> str:
    return next(output.path for output in derivation.outputs if output.name == "out")


def test_the_handshake_agrees_on_a_version(nix: Nix) -> None:
    with ServeProcess(nix) as process:
        assert process.remote >= Version(2, 5)
        assert process.serve.version == min(process.remote, Version(2, 7))


def test_derivations_of_nix_survive_the_round_trip(store: Store) -> None:
    for attribute in ("base", "top", "quoted", "needy", "fixed"):
        data = store.read(store.instantiate(attribute))
        assert format_derivation(parse_derivation(data)) == data


def test_what_derivations_ask_for_is_understood(store: Store) -> None:
    _, needy = store.derivation("needy")
    assert needy.required_system_features == ("big-parallel", "kvm")
    assert needy.prefer_local_build
    _, fixed = store.derivation("fixed")
    assert fixed.is_fixed_output
    assert fixed.is_builtin
    _, top = store.derivation("top")
    assert not top.is_fixed_output
    assert list(top.input_drvs.values()) == [("out",)]


def test_valid_paths_are_told_from_others(store: Store, nix: Nix) -> None:
    drv_path = store.instantiate("base")
    with ServeProcess(nix) as process:
        assert process.run(process.serve.query_valid_paths([MISSING, drv_path], lock=True)) == [drv_path]


def test_derivations_are_built_one_after_the_other(store: Store, nix: Nix) -> None:
    _, base = store.derivation("base")
    with ServeProcess(nix) as process:
        first = store.build(process, "base")
        assert (first.status, first.message) == (BuildStatus.BUILT, "")
        assert first.times_built == 1
        assert 0 < first.start_time <= first.stop_time
        assert "building base" in process.log()
        assert store.build(process, "base").status is BuildStatus.ALREADY_VALID
        assert store.build(process, "top").status is BuildStatus.BUILT
        _, top = store.derivation("top")
        if first.built_outputs:
            assert first.built_outputs == {"out": out(base)}
        assert process.run(process.serve.query_closure([out(top)])) == sorted([out(base), out(top)])
    assert nix.physical(out(top)).read_text() == f"{out(base)}\n"


def test_a_build_that_fails_is_the_derivations_fault(store: Store, nix: Nix) -> None:
    with ServeProcess(nix) as process:
        result = store.build(process, "broken")
        assert result.status is BuildStatus.PERMANENT_FAILURE
        assert result.status.is_permanent
        assert "exit code 3" in result.message
        assert "\x1b" not in result.message
        assert "it breaks" in process.log()
        assert store.build(process, "base").status.is_success


def test_limits_end_a_build_with_a_status_of_their_own(store: Store, nix: Nix) -> None:
    with ServeProcess(nix) as process:
        wordy = store.build(process, "wordy", serve.BuildOptions(timeout=60, max_log_size=10_000))
        assert wordy.status is BuildStatus.LOG_LIMIT_EXCEEDED
        assert store.build(process, "endless", serve.BuildOptions(timeout=1)).status is BuildStatus.TIMED_OUT


def test_a_missing_input_ends_the_build_not_the_connection(store: Store, nix: Nix) -> None:
    with ServeProcess(nix) as process:
        assert not store.build(process, "top").status.is_success
        assert store.build(process, "base").status.is_success


@pytest.mark.parametrize("minor", [2, 3, 4, 5, 6])
def test_a_client_that_announces_less_is_understood_too(store: Store, nix: Nix, minor: int) -> None:
    version = re.match(r"(\d+)\.(\d+)", nix.version)
    assert version is not None
    if (int(version[1]), int(version[2])) > (2, 10) and minor < 6:
        pytest.skip("the outputs are sent to those alone who announce 2.6, since Nix 2.11")
    with ServeProcess(nix, announced=Version(2, minor)) as process:
        assert store.build(process, "base").status is BuildStatus.BUILT
        assert store.build(process, "broken").status is BuildStatus.PERMANENT_FAILURE
        _, base = store.derivation("base")
        (info,) = process.run(process.serve.query_path_infos([out(base), MISSING]))
        assert (info.nar_hash is not None) == (minor >= 4)
        assert info.nar_size > 0


def test_paths_are_built_by_name(store: Store, nix: Nix) -> None:
    with ServeProcess(nix) as process:
        wanted = serve.drv_outputs(store.instantiate("top"), ["out"])
        assert process.run(process.serve.build_paths([wanted], OPTIONS)).status is BuildStatus.BUILT
        broken = serve.drv_outputs(store.instantiate("broken"))
        result = process.run(process.serve.build_paths([broken], OPTIONS))
        assert result.status is BuildStatus.PERMANENT_FAILURE
        assert "broken" in result.message
        unknown = process.run(process.serve.build_paths([serve.drv_outputs(wanted[:-4], ["doc"])], OPTIONS))
        assert unknown.status is BuildStatus.MISC_FAILURE
        assert "wanted outputs" in unknown.message


@pytest.mark.parametrize("way", ["add", "import"])
def test_a_closure_moves_into_another_store(store: Store, nix: Nix, tmp_path: Path, way: str) -> None:
    other_store = tmp_path / "other"
    with ServeProcess(nix) as process, ServeProcess(nix, other_store) as other:
        store.build(process, "base")
        store.build(process, "top")
        _, top = store.derivation("top")
        _, base = store.derivation("base")
        paths: list[str] = [out(base), out(top)]
        infos = {info.path: info for info in process.run(process.serve.query_path_infos(paths))}
        assert infos[out(top)].references == (out(base),)
        nars = [(infos[path], process.dump(path)) for path in paths]
        assert [len(nar) for _, nar in nars] == [info.nar_size for info, _ in nars]
        assert other.run(other.serve.query_valid_paths(paths)) == []
        if way == "add":
            for info, nar in nars:
                other.add(info, nar)
        else:
            other.import_all(nars)
        assert sorted(other.run(other.serve.query_valid_paths(paths, lock=True))) == sorted(paths)
        arrived = {info.path: info for info in other.run(other.serve.query_path_infos(paths))}
        for path in paths:
            assert arrived[path].nar_hash == infos[path].nar_hash
            assert arrived[path].references == infos[path].references
        assert store.build(other, "base").status is BuildStatus.ALREADY_VALID


def test_a_nar_that_does_not_fit_its_hash_is_refused_by_the_remote(
    store: Store, nix: Nix, tmp_path: Path
) -> None:
    with ServeProcess(nix) as process, ServeProcess(nix, tmp_path / "other") as other:
        store.build(process, "base")
        _, base = store.derivation("base")
        (info,) = process.run(process.serve.query_path_infos([out(base)]))
        nar = process.dump(out(base)).replace(b"base\n", b"bad!\n")
        with pytest.raises(ProtocolError, match="ended in the middle"):
            other.add(info, nar)
        assert "hash mismatch" in other.log()


def test_a_path_that_is_not_there_ends_the_remote(nix: Nix) -> None:
    with ServeProcess(nix) as process:
        with pytest.raises(ProtocolError, match="ended in the middle of a NAR"):
            process.dump(MISSING)
        assert "is not valid" in process.log()


def test_a_directory_is_dumped_as_we_write_it(nix: Nix, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "nix-support").mkdir(parents=True)
    (tree / "nix-support" / "hydra-build-products").write_text("file none /nix/store/x\n")
    (tree / "a file").write_bytes(bytes(range(256)) * 5)
    (tree / "run").write_text("#!/bin/sh\n")
    (tree / "run").chmod(0o755)
    (tree / "link").symlink_to("run")
    (tree / "é").touch()
    dumped = subprocess.run(
        [str(nix.bin_dir / "nix-store"), "--dump", str(tree)],
        env=nix.environment(),
        check=True,
        capture_output=True,
    ).stdout
    assert dumped == encode_nar(
        {
            "nix-support": {"hydra-build-products": File(b"file none /nix/store/x\n")},
            "a file": File(bytes(range(256)) * 5),
            "run": File(b"#!/bin/sh\n", executable=True),
            "link": Symlink("run"),
            "é": File(b""),
        },
    )
    parser = NarParser(listing=True, wanted={"nix-support/hydra-build-products"})
    assert parser.feed(dumped) == len(dumped)
    parser.end()
    assert parser.files == {"nix-support/hydra-build-products": b"file none /nix/store/x\n"}
    assert NarEntry("run", EntryType.REGULAR, size=10, executable=True) in parser.entries


def test_our_signatures_are_those_of_nix(store: Store, nix: Nix, tmp_path: Path) -> None:
    secret, public = tmp_path / "secret", tmp_path / "public"
    generate = ("--generate-binary-cache-key", "test-1", str(secret), str(public))
    subprocess.run([str(nix.bin_dir / "nix-store"), *generate], env=nix.environment(), check=True)
    key = SigningKey.parse(secret.read_text())
    assert key.public_text == public.read_text().strip()
    with ServeProcess(nix) as process:
        store.build(process, "base")
        store.build(process, "top")
    _, top = store.derivation("top")
    sign = nix.command("nix", "store", "sign", "--key-file", str(secret), out(top))
    subprocess.run(sign, env=nix.environment(), check=True)
    with ServeProcess(nix) as process:
        (info,) = process.run(process.serve.query_path_infos([out(top)]))
    assert info.nar_hash is not None
    assert len(parse_sha256(info.nar_hash)) == 32
    assert key.sign(fingerprint(info)) in info.signatures
    assert verify(fingerprint(info), info.signatures, [key.public_text])
    assert not verify(
        fingerprint(msgspec.structs.replace(info, nar_size=1)), info.signatures, [key.public_text]
    )
