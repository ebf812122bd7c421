"""Fixtures of evaluation: services for its loops, and jobsets of real repositories."""

from pathlib import Path

import pytest

from fc.base.database import Database
from fc.base.looping import Services
from fc.base.nix_cli import Nix
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from tests.support.evaluating import Jobsets
from tests.support.expressions import Evaluator


@pytest.fixture
def services(settings: Settings, database: Database, nix: Nix) -> Services:
    """What the loops are built from."""
    return Services(settings=settings, database=database, secrets=Secrets(None), nix=nix, worker="test:1")


@pytest.fixture
def jobsets(database: Database, tmp_path: Path) -> Jobsets:
    """Declares jobsets."""
    return Jobsets(database, tmp_path / "repositories")


@pytest.fixture
def evaluate(nix: Nix, tmp_path: Path) -> Evaluator:
    """Evaluates expressions."""
    return Evaluator(nix, tmp_path / "source")
