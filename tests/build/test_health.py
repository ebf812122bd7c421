"""How long builders and derivations wait after failures."""

from fc.build.health import pause


def test_pauses_double_up_to_the_longest() -> None:
    assert [pause(number, 5, 600) for number in (0, 1, 2, 3, 8, 9, 10_000)] == [5, 5, 10, 20, 600, 600, 600]
