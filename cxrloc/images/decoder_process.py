"""Compressed frames are decoded in separate processes, so that a decoder's crash costs one file.

The first compressed frame starts a process, which is kept for later frames. Uncompressed files
start no process.
"""

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from cxrloc.images.decoding import (
    CPU_SECONDS,
    CPU_SECONDS_PER_MEGAPIXEL,
    Decoded,
    read_message,
    write_message,
)

PACKAGES = Path(__file__).parents[2]
COMMAND = (sys.executable, "-P", "-c", "from cxrloc.images.decoding import serve; serve()")
"""-P keeps the working folder off the path, where a file could replace a module gdcm imports."""

WALL_PER_CPU = 10
"""A process gets this many times its processor time, since other work may share the cores."""

_IDLE: list[subprocess.Popen[bytes]] = []
_STARTING = threading.Lock()


class DecodingError(Exception):
    """A frame that cannot be decoded; the text says why."""


def decode_apart(request: dict[str, Any], data: bytes) -> Decoded:
    """`decoding.decode` in another process.

    Raises:
        DecodingError: the decoder refused the frame, ended, or took too long.
    """
    process = _idle() or _started()
    size = request["options"]["rows"] * request["options"]["columns"]
    seconds = WALL_PER_CPU * (CPU_SECONDS + CPU_SECONDS_PER_MEGAPIXEL * size / 1e6)
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        write_message(process.stdin, request, data)  # type: ignore[arg-type]
        message = read_message(process.stdout)  # type: ignore[arg-type]
    except (OSError, ValueError):
        message = None
    finally:
        timer.cancel()
    if message is None:
        process.kill()
        _close(process)
        raise DecodingError("the stream is damaged in a way that its decoder does not survive")
    _IDLE.append(process)
    reply, pixels = message
    if "error" in reply:
        raise DecodingError(reply["error"])
    array = np.frombuffer(pixels, reply["dtype"]).reshape(reply["shape"])
    return Decoded(array, reply["photometric"], reply["damage"])


def _idle() -> subprocess.Popen[bytes] | None:
    """A process that waits for a frame and is still alive; None where there is none."""
    while True:
        try:
            process = _IDLE.pop()  # atomic, so that no two threads get the same one
        except IndexError:
            return None
        if process.poll() is None:
            return process
        _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close the pipes to a process, which then ends."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was not read by a process that is gone
                pipe.close()
    process.wait()


def _started() -> subprocess.Popen[bytes]:
    """A new process, in a session of its own so that Ctrl-C is left to this one."""
    path = os.pathsep.join(filter(None, (str(PACKAGES), os.environ.get("PYTHONPATH"))))
    with _STARTING:  # two at once would inherit each other's pipes, and outlive them
        return subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )


def _forget() -> None:
    """Forget the parent's processes after a fork, because two writers would mix their frames."""
    global _STARTING  # the parent's lock may be held
    _STARTING = threading.Lock()
    for process in _IDLE:
        process.returncode = 0  # not this process's child, so not to be waited for
    _IDLE.clear()


def stop_decoders() -> None:
    """End the processes that are idle; the next compressed frame starts another."""
    while (process := _idle()) is not None:
        _close(process)


atexit.register(stop_decoders)
_register: Callable[..., None] | None = getattr(os, "register_at_fork", None)
if _register is not None:
    _register(after_in_child=_forget)
