"""What stands at the top level of the repository is found when FC is installed from a wheel."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fc.base.paths import shipped

ROOT = Path(__file__).parents[2]
LOOK = """
import asyncio, sys
import fc
from fc.base.paths import shipped
from fc.tables.migrate import migrate_up
from fc.tables.schema_version import migration_files
print(fc.__file__, shipped("migrations"), shipped("config-schema"), sep="\\n")
print(*asyncio.run(migrate_up(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contents of a wheel of this checkout."""
    made = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--quiet", "--wheel-dir", str(made)],
        check=True,
    )
    [wheel] = made.glob("fc_server-*.whl")
    directory = made / "unpacked"
    zipfile.ZipFile(wheel).extractall(directory)
    return directory


@pytest.mark.parametrize("name", ["migrations", "config-schema"])
def test_a_wheel_carries_what_a_checkout_has(unpacked: Path, name: str) -> None:
    def files(directory: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(directory)): path.read_bytes()
            for path in directory.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    assert shipped(name) == ROOT / name
    assert files(unpacked / "fc" / "_data" / name) == files(ROOT / name)
    assert files(ROOT / name)


def test_a_wheel_carries_every_module_template_and_style(unpacked: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "fc"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert [name for name in tracked if not (unpacked / name).is_file()] == []


def test_migrations_run_from_an_unpacked_wheel(
    unpacked: Path, tmp_path: Path, empty_database_url: str
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", LOOK, empty_database_url],
        cwd=tmp_path,
        env=dict(os.environ) | {"PYTHONPATH": str(unpacked)},
        check=False,
        capture_output=True,
        text=True,
    )

    assert result.returncode == 0, result.stderr
    package, migrations, schema, ran = result.stdout.splitlines()
    assert Path(package).is_relative_to(unpacked)
    assert Path(migrations) == unpacked / "fc" / "_data" / "migrations"
    assert Path(schema) == unpacked / "fc" / "_data" / "config-schema"
    assert len(ran.split()) == len(list((ROOT / "migrations").glob("*.py")))


def test_a_broken_installation_is_said_to_be_broken() -> None:
    with pytest.raises(
        FileNotFoundError, match="'recipes' is missing from this installation of FC; install it again"
    ):
        shipped("recipes")
