"""A task that dies, hangs or uses too much memory fails alone; the next gets a new process."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from cxrloc.workers import Limits, TaskDiedError, TaskProcess


def prepare() -> Callable[[str], str]:
    return act


def act(order: str) -> str:
    match order:
        case "die":
            os.kill(os.getpid(), signal.SIGABRT)
        case "hang":
            time.sleep(60)
        case "fail":
            raise ValueError("told")
        case "eat":
            bytearray(8 << 30)
    return f"{order} done"


@pytest.fixture(scope="module")
def process() -> Iterator[TaskProcess[str, str]]:
    started: TaskProcess[str, str] = TaskProcess(prepare, Limits(seconds=1.0))
    yield started
    started.close()


@pytest.mark.parametrize(
    ("order", "reason"),
    [("die", "ended its process by signal 6"), ("hang", "took longer than 1 seconds")],
)
def test_a_deadly_task_is_named_and_the_next_one_runs(
    order: str, reason: str, process: TaskProcess[str, str]
) -> None:
    with pytest.raises(TaskDiedError, match=reason):
        process.run(order)
    assert process.run("next") == "next done"


def test_an_exception_comes_back_and_the_process_stays(process: TaskProcess[str, str]) -> None:
    with pytest.raises(ValueError, match="told"):
        process.run("fail")
    assert process.run("next") == "next done"


def test_a_process_starts_once(process: TaskProcess[str, str]) -> None:
    assert process.start() is process.start()
    assert process.run("next") == "next done"


def test_a_process_that_ended_while_idle_costs_no_task(process: TaskProcess[str, str]) -> None:
    pipe = process.start()
    process.kill()
    assert pipe.poll(10)  # the end of the pipe
    assert process.start() is not pipe
    assert process.run("next") == "next done"


def test_memory_is_limited() -> None:
    process: TaskProcess[str, str] = TaskProcess(prepare, Limits(address_space_bytes=4 << 30))
    try:
        with pytest.raises(MemoryError):
            process.run("eat")
    finally:
        process.close()
