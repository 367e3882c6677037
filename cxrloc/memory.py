"""How this process asks the system for memory."""

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""

KEPT_BYTES = 2**28
"""Most free memory that is kept at the end of the heap; it has room for a network's features."""

MAPPED_BYTES = 2**25
"""Blocks from this size on still come from the system and go back to it at once.

It is the largest value that every version of glibc takes.
"""


def keep_freed_memory() -> None:
    """Keep freed memory for the next image, where the C library is glibc.

    A network needs and frees the same blocks of some megabytes for each image. By default glibc
    gives them back to the system, which then clears their pages for the next image; with
    `nih-small-v4` on a virtual machine this took a quarter of a forward pass. Elsewhere, nothing
    changes. It holds for the whole process, so the command line and its child processes call it,
    and the library does not.
    """
    if uses_glibc():
        library = ctypes.CDLL(None)
        if library.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES):  # 0 says that it was refused
            library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def uses_glibc() -> bool:
    """Whether the C library of this process is glibc, as on most Linux systems."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, OSError, ValueError):  # other systems lack the function or the name
        return False
