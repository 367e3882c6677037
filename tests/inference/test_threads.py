import itertools
import threading

import pytest

from cxrloc.inference.threads import map_in_threads


def test_results_keep_the_order_of_the_items() -> None:
    gate = threading.Event()

    def first_waits(item: int) -> int:
        if item == 0:
            gate.wait(5)
        elif item == 1:
            gate.set()
        return item * 10

    assert list(map_in_threads(first_waits, range(5), workers=2)) == [0, 10, 20, 30, 40]


def test_an_endless_stream_is_taken_a_few_items_at_a_time() -> None:
    taken = itertools.count()

    def items() -> "itertools.count[int]":
        return taken

    results = map_in_threads(lambda item: item, items(), workers=2)
    assert next(results) == 0
    assert next(taken) <= 5


def test_an_exception_comes_where_its_result_would_have() -> None:
    results = map_in_threads(lambda item: 1 // item, [1, 0], workers=1)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
