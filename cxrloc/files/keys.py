"""Keyed hashes of patients' ids, which cannot be inverted without the key."""

import hashlib
import hmac
import os
import secrets
from functools import cache
from pathlib import Path

from cxrloc.errors import CxrlocError

KEY, KEY_FILE = "CXRLOC_PATIENT_KEY", "CXRLOC_PATIENT_KEY_FILE"
"""Variables of the environment: the key itself, or the file that holds it."""


def keyed_patient(patient_id: str) -> str:
    """A name for a patient that does not reveal the id: 16 hexadecimal digits of an HMAC-SHA256.

    With a key from the environment, one patient has the same name in all runs, so that results
    can be joined. Without such a key, each run draws a random one.

    Raises:
        CxrlocError: the file of the key cannot be read, or is empty.

    >>> keyed_patient("7") == keyed_patient("7"), keyed_patient("7") == keyed_patient("8")
    (True, False)
    """
    settings = os.environ.get(KEY), os.environ.get(KEY_FILE)
    return hmac.new(_key(*settings), patient_id.encode(), hashlib.sha256).hexdigest()[:16]


def has_key() -> bool:
    """Whether the environment names a key, so that one patient has the same name in all runs."""
    return bool(os.environ.get(KEY) or os.environ.get(KEY_FILE))


@cache
def _key(text: str | None, path: str | None) -> bytes:
    if text:
        return text.encode()
    if not path:
        return secrets.token_bytes(32)
    try:
        content = Path(path).read_bytes().strip()
    except OSError as error:
        raise CxrlocError(f"{path}, named by {KEY_FILE}: {error.strerror}") from error
    if not content:
        raise CxrlocError(f"{path}, named by {KEY_FILE}: it is empty; write a key into it")
    return content
