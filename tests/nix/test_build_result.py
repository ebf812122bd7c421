"""Statuses and messages of builds."""

import pytest

from fc.nix.build_result import BuildStatus, strip_ansi


def test_four_statuses_are_successes() -> None:
    assert {status.value for status in BuildStatus if status.is_success} == {0, 1, 2, 13}


def test_three_statuses_are_the_derivations_fault() -> None:
    assert {status.value for status in BuildStatus if status.is_permanent} == {3, 4, 5}


@pytest.mark.parametrize(
    ("coloured", "plain"),
    [
        ("builder for '\x1b[35;1m/nix/store/x\x1b[0m' failed", "builder for '/nix/store/x' failed"),
        ("\x1b]8;;https://example.org\x07link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2K\x1b[1Gline", "line"),
        ("\x1bMup", "up"),
        ("plain [0m", "plain [0m"),
        ("cut off \x1b[", "cut off ["),
    ],
)
def test_terminal_sequences_are_removed(coloured: str, plain: str) -> None:
    assert strip_ansi(coloured) == plain
