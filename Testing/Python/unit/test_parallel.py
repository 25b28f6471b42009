"""Work on several threads: everything once, in order where it matters, and errors are not lost."""

import threading

import pytest

from LaminaSegmentationLib import parallel
from LaminaSegmentationLib.parallel import ahead, for_each, usable_cores


@pytest.mark.parametrize("cores", [1, 4])
def test_each_part_is_done_once_and_an_error_is_raised_again(monkeypatch, cores):
    monkeypatch.setattr(parallel, "usable_cores", lambda: cores)
    done = []
    for_each(done.append, range(100))
    assert sorted(done) == list(range(100))
    with pytest.raises(ZeroDivisionError):
        for_each(lambda part: 1 // part, [3, 0, 2])
    for_each(done.append, [])
    assert len(done) == 100


def test_there_is_a_core():
    assert usable_cores() >= 1


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_what_is_made_ahead_comes_complete_and_in_order(count):
    made = []

    def square(part):
        made.append(part)
        return part * part

    with ahead(square, range(count)) as results:
        assert list(results) == [part * part for part in range(count)]
    assert made == list(range(count))


def test_the_next_is_made_while_the_caller_works_with_the_one_before():
    second = threading.Event()

    def make(part):
        if part == 1:
            second.set()
        return part

    with ahead(make, range(3)) as results:
        assert next(results) == 0
        # The caller does nothing here but wait: only another thread can make the second.
        assert second.wait(timeout=10)


def test_an_error_comes_where_its_result_would_have():
    with ahead(lambda part: 6 // part, [2, 0, 3]) as results:
        assert next(results) == 3
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_after_the_block_nothing_is_made_any_more():
    made = []
    with ahead(made.append, range(1000)) as results:
        next(results)
    count = len(made)
    assert count <= 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_an_interrupt_of_the_caller_ends_it():
    with pytest.raises(KeyboardInterrupt), ahead(lambda part: part, range(1000)) as results:
        next(results)
        raise KeyboardInterrupt
