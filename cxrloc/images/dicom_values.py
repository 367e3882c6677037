"""Values of DICOM elements, read so that odd white space, NULs and wrong VRs do no harm."""

import math
import re
from collections.abc import Collection

import numpy as np
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.multival import MultiValue

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
TWO_READINGS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""Numbers such as 2,000: with a decimal comma it is 2, with a comma between thousands 2000."""

BINARY = {
    "US": "u2",
    "SS": "i2",
    "UL": "u4",
    "SL": "i4",
    "UV": "u8",
    "SV": "i8",
    "FL": "f4",
    "FD": "f8",
    "US or SS": "u2",
}
"""VRs whose values are stored as numbers, with their types; every other number is text (PS3.5 6.2).

The dictionary leaves the sign of some tags open, and implicit VR does not tell it. All readers of
such tags take their values modulo 2^16.
"""

NO_VR = (None, "UN", "OB", "OW")
"""VRs that say nothing about a value, so that the dictionary's VR counts."""

LONGEST_TEXT = 4096  # bytes of a value that are looked at: no number and no code is as long


def texts(dataset: Dataset, keyword: str | int) -> list[str]:
    r"""An element's values as stripped text, one per backslash; none where missing or empty.

    pydicom converts values by their VR, and gives up on text that is no number; here bytes are read
    as text unless they must be binary numbers, whatever the VR says.

    >>> header = Dataset()
    >>> header.add_new("WindowCenter", "OB", b"2000\\300 ")
    >>> texts(header, "WindowCenter")
    ['2000', '300']
    """
    element = dataset.get_item(keyword)
    if element is None or element.value is None:
        return []
    value = element.value
    if isinstance(element, RawDataElement) and isinstance(value, bytes):
        vr = dictionary_VR(element.tag) if element.VR in NO_VR else element.VR
        if vr in BINARY:
            order = "<" if element.is_little_endian else ">"
            dtype = np.dtype(order + BINARY[vr])
            whole = min(len(value), LONGEST_TEXT) // dtype.itemsize
            value = np.frombuffer(value, dtype, whole).tolist()
    if isinstance(value, bytes):
        value = value[:LONGEST_TEXT].decode("latin-1")
    if isinstance(value, str):
        value = value.split("\\")
    elif not isinstance(value, MultiValue | list | tuple):
        value = [value]
    members = [str(member).replace("\0", " ").strip() for member in value]
    return members if any(members) else []


def numbers(dataset: Dataset, keyword: str | int) -> list[float]:
    """An element's numbers; NaN for a member that is empty or no number.

    A comma is taken as a decimal point.

    >>> header = Dataset()
    >>> header.add_new("WindowCenter", "LO", "2000,5")
    >>> numbers(header, "WindowCenter"), numbers(header, "WindowWidth")
    ([2000.5], [])
    """
    return [number_of(text) for text in texts(dataset, keyword)]


def number_of(text: str) -> float:
    """The finite number that a text of `texts` stands for, or NaN.

    >>> number_of("1,250"), number_of("2e3"), number_of("1_0")
    (1.25, 2000.0, nan)
    """
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else math.nan


def code_of(dataset: Dataset, keyword: str) -> str:
    """An element's code string in upper case, the first if there are several; else empty.

    >>> header = Dataset()
    >>> header.add_new("PhotometricInterpretation", "LO", " monochrome1")
    >>> code_of(header, "PhotometricInterpretation")
    'MONOCHROME1'
    """
    codes = (" ".join(text.upper().split()) for text in texts(dataset, keyword))
    return next((code for code in codes if code), "")


def known_code(code: str, known: Collection[str]) -> str:
    """The code for a message; one that is not known may be misplaced text, so it is not quoted.

    >>> known_code("CT", ("CT", "MR")), known_code("SMITH JOHN", ("CT", "MR"))
    ('CT', 'not a value that DICOM defines')
    """
    return code if code in known else "not a value that DICOM defines" if code else "missing"


def tag_of(keyword: str) -> str:
    """A keyword with its tag, for messages.

    >>> tag_of("Rows")
    'Rows (0028,0010)'
    """
    return f"{keyword} {DataElement(keyword, dictionary_VR(keyword), None).tag}"
