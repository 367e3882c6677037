"""Work beside the network: reading ahead of it and drawing behind it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def map_in_threads(function: Callable[[T], U], items: Iterable[T], workers: int) -> Iterator[U]:
    """`map` in threads, in order, with at most twice `workers` items under way.

    Memory stays flat however many items there are. An exception of `function` is raised where its
    result would have come.

    >>> list(map_in_threads(abs, [-2, 1, -3], workers=2))
    [2, 1, 3]
    """
    under_way: deque[Future[U]] = deque()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) >= 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
