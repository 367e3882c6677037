"""Work beside the network: reading ahead of it and drawing behind it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Counted(Generic[T]):
    """Items whose number is known before the first one comes, for whoever shows progress."""

    items: Iterable[T]
    count: int

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return self.count


def map_in_threads(function: Callable[[T], U], items: Iterable[T], workers: int) -> Iterator[U]:
    """`map` in threads, in order, with at most twice `workers` items under way.

    Memory stays flat however many items there are. An exception of `function` is raised where its
    result would have come.

    >>> list(map_in_threads(abs, [-2, 1, -3], workers=2))
    [2, 1, 3]
    """
    under_way: deque[Future[U]] = deque()
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) >= 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        # After an interruption what has begun is ended, and nothing more is begun.
        pool.shutdown(cancel_futures=True)
