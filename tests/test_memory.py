"""Freed memory is kept for the next image."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from cxrloc.memory import keep_freed_memory, uses_glibc
if not uses_glibc():
    print("other")
    sys.exit()
if sys.argv[1] == "kept":
    keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    blocks = [bytearray(b"x") * 10_000_000 for _ in range(4)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    """Pages that the system gave a process while it filled four blocks of 10 MB ten times."""
    run = [sys.executable, "-c", FAULTS, how]
    printed = subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()
    if printed == "other":
        pytest.skip("the C library is not glibc")
    return int(printed)


def test_blocks_that_were_freed_are_used_again():
    pages = 40_000_000 // 4096
    assert page_faults("kept") < 2 * pages
    assert page_faults("by default") > 5 * pages
