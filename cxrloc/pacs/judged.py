"""Reads the status that a destination answers when it is asked to store an object."""

from collections.abc import Callable

from pydicom import Dataset

from cxrloc.pacs.destinations import Destination

SUCCESS, DUPLICATE, NOT_AUTHORIZED = 0x0000, 0x0111, 0x0124


class RefusedError(Exception):
    """The destination has answered that it will not store the object; a retry would not help."""


class BusyError(Exception):
    """The destination could not be reached, or could not store now; a retry may help."""


class NoConnectionError(BusyError):
    """The destination could not be reached, or accepts no connection of this sender."""


Store = Callable[[Dataset], str]
"""A function that stores one object over an open connection and returns a warning or an empty text.
It raises `RefusedError` if a retry would not help, and `BusyError` if a retry may help."""


def judged(destination: Destination, code: int, comment: str = "") -> str:
    """The warning of a status or reason, or an error for a failure.

    The codes are those of C-STORE (PS3.4, table B.2-1, and PS3.7, annex C), which STOW-RS uses too
    (PS3.18, annex I.2.2).
    """
    status = f"status {code:04X}{f' ({comment})' if comment else ''}"
    if code == SUCCESS:
        return ""
    if code == DUPLICATE:
        return f"{destination} has an object of this identifier already: {status}"
    if code & 0xF000 == 0xB000:
        return f"{destination} stored it with a warning: {status}"
    if code & 0xFF00 == 0xA700:
        raise BusyError(f"{destination}: out of resources, {status}")
    if code == NOT_AUTHORIZED:
        raise BusyError(f"{destination}: not authorized, {status}")
    raise RefusedError(f"{destination}: refused, {status}")
