"""Nix is found, given a store and a clean environment; what is missing is said with what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from fc.base import nix_cli
from fc.base.errors import EnvironmentMissingError
from fc.base.nix_cli import Nix
from fc.base.settings import NixSettings, Settings

ROOT = Path(__file__).parents[2]
WITHOUT_NAMESPACES = """
import sys
from pathlib import Path
from fc.base.nix_cli import Nix
from fc.base.settings import NixSettings, Settings
data = Path(sys.argv[1])
Nix.discover(Settings(data_dir=data, nix=NixSettings(store=str(data / "store"))))
"""


def with_nix(settings: Settings, **values: object) -> Settings:
    return msgspec.structs.replace(settings, nix=msgspec.structs.replace(settings.nix, **values))


def run(nix: Nix, program: str, *args: str) -> str:
    result = subprocess.run(
        nix.command(program, *args), env=nix.environment(), check=False, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_nix_is_found_on_path(nix: Nix) -> None:
    found = shutil.which("nix-store")
    assert found is not None
    assert nix.bin_dir == Path(found).parent
    assert nix.version[0].isdigit()
    assert nix.system == f"{os.uname().machine}-linux"
    assert nix.systems == (nix.system, "builtin")


def test_no_nix_on_path_is_said_with_how_to_get_it(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        EnvironmentMissingError, match=r"Nix is not installed: .*apt-get install nix-bin busybox-static"
    ):
        Nix.discover(settings)


def test_a_directory_without_nix_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(
        EnvironmentMissingError, match=rf"nix\.bin_dir is {tmp_path}, but there is no nix-store in it"
    ):
        Nix.discover(with_nix(settings, bin_dir=tmp_path))


def test_a_nix_that_does_not_work_is_said_to_be_so(settings: Settings, tmp_path: Path) -> None:
    for name in ("nix-store", "nix"):
        broken = tmp_path / name
        broken.write_text("#!/bin/sh\necho out of luck >&2\nexit 3\n", encoding="utf-8")
        broken.chmod(0o755)
    with pytest.raises(
        EnvironmentMissingError, match=f"{broken} does not work: .*exit status 3.*out of luck"
    ):
        Nix.discover(with_nix(settings, bin_dir=tmp_path))


def test_a_nix_in_a_directory_of_its_own_is_used(settings: Settings, tmp_path: Path) -> None:
    found = shutil.which("nix-store")
    (tmp_path / "nix").symlink_to(shutil.which("nix") or "")
    assert found is not None
    (tmp_path / "nix-store").symlink_to(found)
    nix = Nix.discover(with_nix(settings, bin_dir=tmp_path))
    assert nix.command("nix-store", "--version")[0] == str(tmp_path / "nix-store")
    assert nix.environment()["PATH"].startswith(f"{tmp_path}:")


def test_nothing_of_our_environment_reaches_nix(nix: Nix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("FC_DATABASE__URL", "postgresql://fc:hunter2@h/d")
    monkeypatch.setenv("NIX_REMOTE", "daemon")
    monkeypatch.setenv("NIX_PATH", "nixpkgs=/nowhere")

    assert "hunter2" not in str(nix.environment())
    assert set(nix.environment()) == {"PATH", "HOME", "XDG_CACHE_HOME", "LANG", "NIX_CONFIG"}
    seen = run(
        nix,
        "nix-instantiate",
        "--eval",
        "-E",
        'map builtins.getEnv ["FC_SECRET_TOKEN" "NIX_PATH" "HOME"]',
        "--strict",
    )
    assert seen == f'[ "" "" "{nix.home}" ]'


def test_options_of_the_settings_hold_for_every_call(settings: Settings) -> None:
    nix = Nix.discover(with_nix(settings, options={"substituters": "", "cores": "3"}))
    shown = run(nix, "nix", "show-config")
    assert "cores = 3" in shown
    assert "substituters = \n" in shown
    assert "experimental-features = flakes nix-command" in shown


def test_a_chroot_store_keeps_its_paths_below_its_root(nix: Nix, settings: Settings, tmp_path: Path) -> None:
    assert nix.store_root == settings.data_dir / "nix-store"
    file = tmp_path / "hello"
    file.write_text("hello", encoding="utf-8")

    path = run(nix, "nix-store", "--add", str(file))

    assert path.startswith("/nix/store/")
    assert not Path(path).exists()
    assert nix.physical(path).read_text(encoding="utf-8") == "hello"


def test_a_chroot_store_builds_in_a_sandbox_with_a_shell(nix: Nix, tmp_path: Path) -> None:
    expression = tmp_path / "default.nix"
    expression.write_text(
        f'derivation {{ name = "a"; system = "{nix.system}"; builder = "/bin/sh"; args = [ "-c" "echo built > $out" ]; }}',
        encoding="utf-8",
    )
    drv = run(nix, "nix-instantiate", str(expression))
    assert nix.physical(run(nix, "nix-store", "--realise", drv)).read_text(encoding="utf-8") == "built\n"


def test_a_store_elsewhere_is_made_with_its_directory(settings: Settings, tmp_path: Path) -> None:
    nix = Nix.discover(with_nix(settings, store=str(tmp_path / "a" / "b")))
    assert nix.store_root == tmp_path / "a" / "b"
    assert nix.command("nix-store", "--serve") == [
        str(nix.bin_dir / "nix-store"),
        "--serve",
        "--store",
        str(tmp_path / "a" / "b"),
    ]


def test_a_store_that_cannot_be_made_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(
        EnvironmentMissingError, match=f"nix.store: {tmp_path}/file/store cannot be made: Not a directory"
    ):
        Nix.discover(with_nix(settings, store=str(tmp_path / "file" / "store")))


def test_a_data_directory_that_cannot_be_written_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(
        EnvironmentMissingError, match=f"the data directory {tmp_path}/file/data cannot be written"
    ):
        Nix.discover(msgspec.structs.replace(settings, data_dir=tmp_path / "file" / "data"))


@pytest.mark.parametrize("store", ["daemon", "local", "unix:///some/socket", "ssh://elsewhere"])
def test_a_store_uri_is_handed_on_as_it_is(settings: Settings, store: str) -> None:
    nix = Nix.discover(with_nix(settings, store=store))
    assert nix.store_root is None
    assert nix.command("nix-store", "--serve")[-2:] == ["--store", store]
    assert nix.physical("/nix/store/abc") == Path("/nix/store/abc")
    assert "sandbox" not in nix.options


@pytest.mark.parametrize(
    ("writable", "store", "below_data"),
    [
        ({"/nix/var/nix/daemon-socket/socket", "/nix/store", "/nix/var/nix"}, "daemon", False),
        ({"/nix/store", "/nix/var/nix"}, None, False),
        ({"/nix/store"}, "nix-store", True),
        (set(), "nix-store", True),
    ],
)
def test_the_store_is_the_daemons_or_the_machines_or_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: set[str], store: str | None, below_data: bool
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: str(path) in writable)
    chosen, root = nix_cli._choose_store(NixSettings(), tmp_path)
    if below_data:
        assert (chosen, root) == (str(tmp_path / "nix-store"), tmp_path / "nix-store")
    else:
        assert (chosen, root) == (store, None)


def test_other_systems_are_added_to_the_machines_own(settings: Settings) -> None:
    nix = Nix.discover(with_nix(settings, system="x86_64-linux", extra_systems=("i686-linux",)))
    assert nix.system == "x86_64-linux"
    assert nix.systems == ("x86_64-linux", "i686-linux", "builtin")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare of util-linux")
def test_forbidden_namespaces_are_said_with_what_to_do(tmp_path: Path) -> None:
    # In a user namespace of its own the process may have no mount namespace: the limit there is zero.
    result = subprocess.run(
        ["unshare", "--user", "--map-root-user", "/bin/sh", "-c",
         'echo 0 > /proc/sys/user/max_mnt_namespaces; exec "$0" -c "$1" "$2"', sys.executable, WITHOUT_NAMESPACES, str(tmp_path)],
        check=False, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert result.returncode != 0
    assert "Nix cannot build here: namespaces are forbidden" in result.stderr
    assert "set nix.store: daemon" in result.stderr


def test_a_new_store_is_made_once_and_a_made_one_is_left_alone(nix: Nix) -> None:
    assert nix.store_root is not None
    nix.initialise()
    made = nix.store_root / "nix/var/nix/db/db.sqlite"
    assert made.exists()
    before = made.stat().st_mtime_ns
    nix.initialise()
    assert made.stat().st_mtime_ns == before


def test_a_store_that_cannot_be_made_is_said(nix: Nix) -> None:
    assert nix.store_root is not None
    (nix.store_root / "nix").write_text("in the way", encoding="utf-8")
    with pytest.raises(EnvironmentMissingError, match="cannot make its store"):
        nix.initialise()
