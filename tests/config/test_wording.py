"""The nearest right name."""

import difflib

from hypothesis import given
from hypothesis import strategies as st

from fc.config.wording import did_you_mean

words = st.text("abc-1", max_size=8)


@given(words, st.lists(words, max_size=12))
def test_the_name_most_alike_is_meant(wrong: str, known: list[str]) -> None:
    expected = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    assert did_you_mean(wrong, known) == (f"; did you mean {expected[0]!r}?" if expected else "")


def test_nothing_is_meant_by_what_is_like_nothing() -> None:
    assert did_you_mean("zzz", ["branch", "enabled"]) == ""
    assert did_you_mean("x" * 65, ["x" * 65]) == ""
