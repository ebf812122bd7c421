"""Every module of the two packages without I/O is wholly covered, branches too, by its own test file alone."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("package", ["nix", "forge"])
def test_each_module_is_covered_by_its_own_test_file(package: str, tmp_path: Path) -> None:
    modules = sorted(path for path in (ROOT / "fc" / package).glob("*.py") if path.name != "__init__.py")
    tests = {path: f"tests/{package}/test_{path.name}" for path in modules}
    missing = [test for test in tests.values() if not (ROOT / test).exists()]
    assert not missing
    data_file = tmp_path / "coverage"
    # One run for all: each line remembers which test ran it. These tests need no fixture, so no server either.
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--noconftest", "-n0", "-q", "-p", "no:cacheprovider"),
            *(
                "--hypothesis-seed=0",
                f"--cov=fc.{package}",
                "--cov-branch",
                "--cov-context=test",
                "--cov-report=",
            ),
            *tests.values(),
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
    gaps = []
    for module, test in tests.items():
        report = io.StringIO()
        # The context without a name is what runs when the module is imported.
        contexts = [r"^$", f"^{re.escape(test)}::"]
        total = measured.report(morfs=[str(module)], contexts=contexts, show_missing=True, file=report)
        if total < 100:
            gaps.append(f"{test} alone:\n{report.getvalue()}")
    assert not gaps, "\n".join(gaps)
