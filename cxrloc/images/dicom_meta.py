"""Reads the file meta information of a DICOM file, group 0002 (PS3.10 7.1)."""

from mmap import mmap
from pathlib import Path

from pydicom import uid

from cxrloc.errors import CxrlocError

LONG_VRS = (
    b"OB",
    b"OD",
    b"OF",
    b"OL",
    b"OV",
    b"OW",
    b"SQ",
    b"SV",
    b"UC",
    b"UN",
    b"UR",
    b"UT",
    b"UV",
)
"""VRs whose length has 4 bytes, after 2 reserved ones (PS3.5 7.1.2)."""

NEWER_SYNTAXES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}
"""Transfer syntaxes of the standard that pydicom does not know."""

GDCM_CONVERTS = frozenset(
    {
        uid.UID("1.2.840.10008.1.2.4.52"),
        uid.UID("1.2.840.10008.1.2.4.53"),
        uid.UID("1.2.840.10008.1.2.4.55"),
        uid.JPEG2000MCLossless,
        uid.JPEG2000MC,
    }
)
"""Transfer syntaxes that are not read here, and that gdcm decodes: retired ones of JPEG, and part 2
of JPEG 2000. It decodes neither video (MPEG, HEVC) nor JPIP, whose pixels are on a server."""


def read_file_meta(path: Path, data: mmap | bytes) -> tuple[uid.UID | None, int, tuple[str, ...]]:
    """The transfer syntax (0002,0010), the place of the data set, and warnings.

    PS3.10 7.1: group 0002 is in explicit VR little endian. Its length (0002,0000) is wrong in some
    files, so the group is followed to its end.

    Raises:
        CxrlocError: the transfer syntax is not known.
        EOFError: the file ends within the group.
    """
    at = 132 if data[128:132] == b"DICM" else 0
    found: dict[bytes, bytes] = {}
    twice = False
    while data[at : at + 2] == b"\x02\x00":
        element, vr = data[at + 2 : at + 4], data[at + 4 : at + 6]
        if vr in LONG_VRS:
            value_at, length = at + 12, int.from_bytes(data[at + 8 : at + 12], "little")
        elif vr.isalpha() and vr.isupper():
            value_at, length = at + 8, int.from_bytes(data[at + 6 : at + 8], "little")
        else:  # implicit VR, which some writers use here too
            value_at, length = at + 8, int.from_bytes(data[at + 4 : at + 8], "little")
        if value_at + length > len(data):
            raise EOFError
        twice |= element in found
        found.setdefault(element, data[value_at : value_at + min(length, 64)])
        at = value_at + length
    named = found.get(b"\x10\x00", b"").replace(b"\0", b" ").strip().decode("latin-1")
    warnings = ("file meta information (group 0002) stands twice: the first is taken",) * twice
    if found and not named:
        warnings += (
            "TransferSyntaxUID (0002,0010) is missing: the first element tells the encoding",
        )
    syntax = uid.UID(named) if named else None
    if syntax is not None and not syntax.is_transfer_syntax:
        # A value that is not a UID may be misplaced text, such as a name, so it is not quoted.
        if not syntax.is_valid:
            raise CxrlocError(f"{path}: TransferSyntaxUID (0002,0010) is no UID")
        raise syntax_not_read(path, syntax)
    return syntax, at, warnings


def syntax_not_read(path: Path, syntax: uid.UID) -> CxrlocError:
    """The error about a transfer syntax that is not read; it says what converts the file, if known.

    >>> print(syntax_not_read(Path("a.dcm"), uid.MPEG2MPML))
    a.dcm: transfer syntax MPEG2 Main Profile / Main Level (1.2.840.10008.1.2.4.100) is not read
    """
    known = syntax.is_transfer_syntax or syntax in NEWER_SYNTAXES
    name = NEWER_SYNTAXES.get(syntax, syntax.name) if known else "of a vendor or unknown"
    hint = ": convert the file with `gdcmconv --raw`" if syntax in GDCM_CONVERTS else ""
    return CxrlocError(f"{path}: transfer syntax {name} ({syntax}) is not read{hint}")
