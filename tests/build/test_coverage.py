"""Every module of building that only decides is wholly covered, branches too, by its own test file alone."""

import io
import os
import subprocess
import sys
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", ["schedule", "needs", "ssh_uri", "byte_ranges"])
def test_a_decision_is_covered_by_its_own_test_file(module: str, tmp_path: Path) -> None:
    data_file = tmp_path / "coverage"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--noconftest", "-n0", "-q", "-p", "no:cacheprovider"),
            *("--cov=fc.build", "--cov-branch", "--cov-report=", f"tests/build/test_{module}.py"),
        ],
        cwd=ROOT,
        env={**os.environ, "COVERAGE_FILE": str(data_file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    measured = coverage.Coverage(data_file=data_file, branch=True)
    measured.load()
    report = io.StringIO()
    total = measured.report(
        morfs=[str(ROOT / "fc" / "build" / f"{module}.py")], show_missing=True, file=report
    )
    assert total == 100, report.getvalue()
