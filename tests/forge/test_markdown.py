"""Text of strangers in Markdown."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.forge.markdown import code_span


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hello/main", "`hello/main`"),
        ("@everyone <b>#1</b> [x](https://evil.example)", "`@everyone <b>#1</b> [x](https://evil.example)`"),
        ("a`b", "``a`b``"),
        ("`a", "`` `a ``"),
        ("``a`", "``` ``a` ```"),
        ("one\n\n# two\r\n```", "```` one # two ``` ````"),
        ("", "(empty)"),
        ("\n", "(empty)"),
    ],
)
def test_it_is_shown_as_it_is(text: str, shown: str) -> None:
    assert code_span(text) == shown


@given(st.text())
def test_no_text_ends_its_own_span_or_its_line(text: str) -> None:
    shown = code_span(text)
    assert "\n" not in shown
    fence = re.match("`*", shown)
    assert fence is not None
    if shown != "(empty)":
        inner = shown[fence.end() : -fence.end()]
        assert shown.endswith(fence[0])
        assert all(len(run) != fence.end() for run in re.findall("`+", inner))


def test_it_is_cut() -> None:
    assert code_span("x" * 1000, 10) == f"`{'x' * 9}…`"
