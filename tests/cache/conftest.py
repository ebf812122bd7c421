"""A head's store with a small world in it: built for real, recorded as the build slice would."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from fc.base.database import Database
from fc.base.nix_cli import Nix
from fc.nix.derivation import parse_derivation
from tests.support.built import add_derivation

EXPRESSION = """
let
  make = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
in rec {
  library = make "library" "echo a library > $out";
  app = make "app" "echo ${library} ${./data.txt} > $out";
  spy = make "spy" "echo ${builtins.unsafeDiscardOutputDependency secret.drvPath} > $out";
  secret = make "secret" "cat ${./source.txt} > $out 2> /dev/null || echo done > $out";
}
"""


@dataclass(frozen=True)
class World:
    """The store, and what is in it by name."""

    nix: Nix
    database: Database
    directory: Path

    def run(self, *command: str) -> str:
        return subprocess.run(
            self.nix.command(*command), env=self.nix.environment(), check=True, capture_output=True, text=True
        ).stdout.strip()

    async def build(self, attribute: str, status: str = "built") -> str:
        """Build an attribute and record it with its outputs; its store path."""
        drv_path = self.run("nix-instantiate", str(self.directory / "release.nix"), "-A", attribute)
        path = self.run("nix-store", "--realise", drv_path)
        derivation = parse_derivation(self.nix.physical(drv_path).read_bytes())
        outputs: Mapping[str, str | None] = {output.name: output.path for output in derivation.outputs}
        await add_derivation(self.database, drv_path, outputs, status)
        return path

    def add(self, name: str, contents: bytes) -> str:
        """A path in the store that no derivation makes."""
        file = self.directory / name
        file.write_bytes(contents)
        return self.run("nix-store", "--add", str(file))

    def delete(self, path: str) -> None:
        self.run("nix-store", "--delete", path)


@pytest.fixture
def world(nix: Nix, database: Database, tmp_path: Path) -> World:
    directory = tmp_path / "world"
    directory.mkdir()
    (directory / "release.nix").write_text(EXPRESSION)
    (directory / "data.txt").write_text("data that the app refers to\n")
    (directory / "source.txt").write_text("a private source\n")
    return World(nix, database, directory)
