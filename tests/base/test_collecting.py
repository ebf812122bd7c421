"""Stretches without a search for cycles: they nest and overlap, and leave everything as it was."""

import gc
import threading

import pytest

from fc.base.collecting import in_batches, uncollected


def test_nothing_is_searched_inside_and_again_afterwards() -> None:
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_ends_the_stretch_too() -> None:
    with pytest.raises(ValueError, match="x"), uncollected():
        int("x")
    assert gc.isenabled()


def test_where_it_was_off_before_it_stays_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_of_threads_that_overlap_the_last_one_turns_it_on_again() -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with uncollected():
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=other)
    with uncollected():
        thread.start()
        assert entered.wait(30)
    assert not gc.isenabled()
    leave.set()
    thread.join(30)
    assert gc.isenabled()


def test_batches_keep_the_order_and_what_weighs_too_much_stands_alone() -> None:
    assert list(in_batches([1, 2, 3, 9, 1, 1], 4, lambda one: one)) == [[1, 2], [3], [9], [1, 1]]
    assert list(in_batches("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(in_batches([], 2)) == []
