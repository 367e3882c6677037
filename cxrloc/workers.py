"""A child process for tasks that may kill it, hang or eat memory: such a task costs only itself."""

import io
import multiprocessing
import os
import pickle
import resource
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from cxrloc.memory import keep_freed_memory

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_SPAWN = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks of torch


class TaskDiedError(Exception):
    """The task ended its process or passed a limit; the message says which."""


class TaskTimeoutError(TaskDiedError):
    """The task took longer than its limit."""


class StartError(TaskDiedError):
    """The process was not ready for a first task, so that no task is the cause."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one task may use.

    Attributes:
        seconds: wall time of a task.
        start_seconds: wall time until the process is ready for its first task.
        address_space_bytes: memory that the process may map; None for no limit.
        task_bytes: memory that the process may map beyond what it has mapped when it is ready for
            its first task; None for no limit. Libraries alone map several gigabytes.
    """

    seconds: float = 120.0
    start_seconds: float = 120.0
    address_space_bytes: int | None = None
    task_bytes: int | None = None


IN_A_SCRIPT = 'in a script, call it under `if __name__ == "__main__":`'
"""Advice if a process does not start: it runs the script again, which must then start no others."""


def packed(value: Any) -> bytes:
    """A value as bytes for a child process.

    Raises:
        Exception: of any kind; the value cannot be sent.
    """
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Refuses what was defined in a notebook, which pickle writes as a name.

    A child has no such name. The file of a script, however, is run again by each child.
    """

    def reducer_override(self, value: Any) -> Any:
        of_main = getattr(value, "__module__", None) == "__main__"
        if of_main and not hasattr(sys.modules["__main__"], "__file__"):
            name = getattr(value, "__qualname__", type(value).__name__)
            raise pickle.PicklingError(f"{name} was defined in a notebook")
        return NotImplemented


class TaskProcess(Generic[Argument, Result]):
    """A process that runs one function on one argument after another.

    Args:
        prepare: called once in the child process; gives the function. It must be picklable, such
            as a function of a module or a `functools.partial` of one.
        limits: of each task; after one was passed, the next task gets a new process.
    """

    def __init__(
        self, prepare: Callable[[], Callable[[Argument], Result]], limits: Limits | None = None
    ) -> None:
        self._prepare = prepare
        self._limits = limits or Limits()
        self._process: Any = None
        self._pipe: Connection | None = None

    def start(self) -> Connection:
        """Start the process if it does not run, so that its first task need not wait.

        A process may have ended since its last task, for example for lack of memory.

        Returns the connection to it.

        Raises:
            StartError: the process died, or was not ready in time.
            Exception: what `prepare` raised.
        """
        if self._pipe is not None and self._pipe.poll():  # idle, it has nothing to say but its end
            self._end()
        return self._pipe or self._start()

    def run(self, argument: Argument) -> Result:
        """The function's result.

        Raises:
            TaskDiedError: the process died or passed a limit.
            Exception: what the function raised.
        """
        pipe = self.start()
        try:
            pipe.send(argument)
            raised, value = self._receive(pipe, self._limits.seconds)
        except (EOFError, OSError) as error:
            raise TaskDiedError(self._end()) from error
        if raised:
            raise value
        return value

    def kill(self) -> None:
        """Kill the process, from any thread; a task that runs ends with `TaskDiedError`."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._end()

    def _start(self) -> Connection:
        pipe, childs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_serve, args=(childs, self._prepare, self._limits), daemon=True
        )
        self._process.start()
        childs.close()
        try:
            raised, value = self._receive(pipe, self._limits.start_seconds)
        except (EOFError, OSError) as error:
            raise StartError(self._end()) from error
        except TaskTimeoutError as error:
            raise StartError(str(error)) from error
        if raised:
            self._end()
            raise value
        self._pipe = pipe
        return pipe

    def _receive(self, pipe: Connection, seconds: float) -> tuple[bool, Any]:
        if not pipe.poll(seconds):
            self._end()
            raise TaskTimeoutError(f"took longer than {seconds:g} seconds")
        received: tuple[bool, Any] = pipe.recv()
        return received

    def _end(self) -> str:
        """Kill the process; returns how it had ended by itself."""
        process, self._process = self._process, None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        process.join(timeout=1)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
        if code is not None and code < 0:
            return f"ended its process by signal {-code}"
        return f"ended its process with status {code}"


class Turns(Generic[Argument, Result]):
    """A function that may be called by many threads; each call takes a worker that is free.

    Args:
        workers: functions that do the same, such as the `run` of several processes.

    >>> Turns([abs])(-2)
    2
    """

    def __init__(self, workers: Sequence[Callable[[Argument], Result]]) -> None:
        self._free: SimpleQueue[Callable[[Argument], Result]] = SimpleQueue()
        for worker in workers:
            self._free.put(worker)

    def __call__(self, argument: Argument) -> Result:
        """The result of a worker, after one became free."""
        worker = self._free.get()
        try:
            return worker(argument)
        finally:
            self._free.put(worker)


def _serve(pipe: Connection, prepare: Callable[[], Callable[[Any], Any]], limits: Limits) -> None:
    """The loop of the child process: (False, result) or (True, exception) for each argument."""
    if limits.address_space_bytes is not None:
        limit = limits.address_space_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    keep_freed_memory()
    function = _answer(pipe, lambda _: prepare(), None, send_result=False)
    if function is None:
        return
    if limits.task_bytes is not None:
        limit = _mapped_bytes() + limits.task_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            _answer(pipe, function, pipe.recv())


def _mapped_bytes() -> int:
    """Address space that this process has mapped."""
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _answer(
    pipe: Connection, function: Callable[[Any], Any], argument: Any, send_result: bool = True
) -> Any:
    try:
        result = function(argument)
    except Exception as error:
        pipe.send((True, _portable(error)))
        return None
    pipe.send((False, result if send_result else None))
    return result


def _portable(error: Exception) -> Exception:
    """The error, or its text where it cannot be sent to another process."""
    try:
        ForkingPickler.dumps(error)
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
