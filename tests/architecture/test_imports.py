"""The floors of the building: import-linter's contracts hold."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_contract_of_the_plan_is_kept() -> None:
    result = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_package_has_its_floor() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    [floors] = [contract for contract in contracts if contract["id"] == "floors"]
    assert floors["exhaustive"] is True
    known = {name.strip() for layer in floors["layers"] for name in layer.split("|")}
    packages = {path.parent.name for path in (ROOT / "fc").glob("*/__init__.py")}
    assert packages <= known
