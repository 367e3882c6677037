"""Threads that work while the network computes: they read files ahead and draw results."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Counted(Generic[T]):
    """Items with a known number, so that progress can be shown."""

    items: Iterable[T]
    count: int

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return self.count


def map_in_threads(
    function: Callable[[T], U], items: Iterable[T], workers: int
) -> Generator[U, None, None]:
    """The results of `map` in threads, in order, with at most twice `workers` items in progress.

    Memory use does not grow with the number of items. An exception of `function` is raised at the
    position of its result.

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
        # After an interruption, started items are finished and no further item is started.
        pool.shutdown(cancel_futures=True)
