"""Small DICOM files for the tests of this room."""

import struct
from pathlib import Path

import numpy as np
from pydicom import Dataset, uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag


def dicom_header(pixels: np.ndarray, bits: int, **tags: object) -> Dataset:
    """A digital radiograph of these pixels, in the words of their type; tags come on top."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    header.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    header.SOPInstanceUID = uid.generate_uid(entropy_srcs=["cxrloc"])
    header.PatientName, header.PatientID = "Secret^Name", "SECRET-ID"
    header.Modality, header.BodyPartExamined = "DX", "CHEST"
    header.Rows, header.Columns = pixels.shape[-2:] if pixels.ndim < 4 else pixels.shape[1:3]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored = 8 * pixels.itemsize, bits
    header.HighBit = bits - 1
    header.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in tags.items():
        setattr(header, keyword, value)
    header.PixelData = pixels.tobytes()
    header["PixelData"].VR = "OW" if pixels.itemsize == 2 else "OB"
    return header


def write_dicom(path: Path, pixels: np.ndarray, bits: int, **tags: object) -> Path:
    """Write `dicom_header`."""
    dicom_header(pixels, bits, **tags).save_as(path, enforce_file_format=True)
    return path


def raw(keyword: str, vr: str, value: bytes) -> RawDataElement:
    """An element whose bytes are written as they are, whatever its VR allows."""
    value += b" " * (len(value) % 2)
    return RawDataElement(Tag(keyword), vr, len(value), value, 0, False, True)


def write_raw(path: Path, pixels: np.ndarray, bits: int, *elements: RawDataElement) -> Path:
    """Write `dicom_header` with these elements, right or wrong."""
    header = dicom_header(pixels, bits)
    for element in elements:
        header[element.tag] = element
    header.save_as(path, enforce_file_format=True)
    return path


def ramp(bits: int, dtype: str) -> np.ndarray:
    """Every value that can be stored, or 4,096 of them, in 64 columns."""
    values = np.linspace(0, 2**bits - 1, min(2**bits, 4096)).round().astype(np.int64)
    return (values - (2 ** (bits - 1) if dtype[0] == "i" else 0)).astype(dtype).reshape(-1, 64)


def chest(rows: int = 200, columns: int = 160) -> np.ndarray:
    """Grey levels in [0, 1] that are bright and dark where a frontal chest is."""
    y, x = np.mgrid[0:rows, 0:columns] / np.array([rows, columns])[:, None, None]
    body = np.exp(-(((x - 0.5) / 0.45) ** 8) - ((y - 0.6) / 0.5) ** 8)
    lungs = sum(np.exp(-(((x - c) / 0.14) ** 4) - ((y - 0.45) / 0.25) ** 4) for c in (0.27, 0.73))
    return body * (0.85 - 0.6 * lungs) + 0.05


def twelve_bit_jpeg(blocks: np.ndarray) -> bytes:
    """A JPEG (extended process, 12 bit) of flat blocks of 8 x 8 pixels of these values.

    Flat blocks have one coefficient each, 8 (value - 2048), and no rounding; no encoder of 12 bits
    is at hand.
    """
    rows, columns = 8 * np.array(blocks.shape)
    bits = ""
    for step in np.diff(8 * (blocks.astype(int).ravel() - 2048), prepend=0).tolist():
        size = abs(step).bit_length()
        value = step if step > 0 else step + 2**size - 1
        bits += f"{size:05b}" + (f"{value:0{size}b}" if size else "") + "0"
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    segments = [
        (0xDB, bytes([0]) + bytes([1] * 64)),
        (0xC1, struct.pack(">BHHB", 12, rows, columns, 1) + bytes([1, 0x11, 0])),
        (0xC4, bytes([0x00, 0, 0, 0, 0, 16]) + bytes(11) + bytes(range(16))),
        (0xC4, bytes([0x10, 1]) + bytes(15) + bytes([0])),
        (0xDA, bytes([1, 1, 0, 0, 63, 0])),
    ]
    head = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments
    )
    return b"\xff\xd8" + head + scan + b"\xff\xd9"
