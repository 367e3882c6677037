"""A picture of the result as a secondary capture, which every viewer shows."""

import io

import numpy as np
from highdicom import PhotometricInterpretationValues
from highdicom.sc import SCImage
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from cxrloc.dicom_objects.result import NOT_FOR_DIAGNOSIS, DicomResult, identity_of
from cxrloc.dicom_objects.stamp import MANUFACTURER, SERIES_NUMBERS, stand_in

KIND = "sc"
JPEG_QUALITY = 90


def secondary_capture(result: DicomResult, picture: Image.Image) -> Dataset:
    """The picture as a JPEG baseline secondary capture (PS3.3, A.8.1), with a note in its pixels.

    Args:
        result: what the picture shows.
        picture: in RGB; a strip with the note is added below.
    """
    noted = _with_note(picture.convert("RGB"))
    identity = identity_of(result, KIND)
    capture = SCImage.from_ref_dataset(
        ref_dataset=stand_in(result.source),
        pixel_array=np.asarray(noted),
        photometric_interpretation=PhotometricInterpretationValues.YBR_FULL_422,
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=identity.series_instance_uid,
        series_number=SERIES_NUMBERS[KIND],
        sop_instance_uid=identity.sop_instance_uid,
        instance_number=1,
        manufacturer=MANUFACTURER,
        patient_orientation=("L", "F"),  # highdicom requires one; that of the source comes below
        transfer_syntax_uid=JPEGBaseline8Bit,
    )
    capture.PixelData = encapsulate([_jpeg(noted)])
    capture["PixelData"].is_undefined_length = True
    # The header must say that text is burned into the pixels (PS3.3, C.7.6.1.1.7 and C.8.6.2).
    capture.BurnedInAnnotation = "YES"
    capture.LossyImageCompression = "01"
    capture.LossyImageCompressionMethod = "ISO_10918_1"
    raw = noted.width * noted.height * 3
    capture.LossyImageCompressionRatio = round(raw / len(capture.PixelData), 2)
    capture.PatientOrientation = result.source.PatientOrientation
    capture.BodyPartExamined = "CHEST"
    for keyword in ("StudyDescription", "PatientAge"):
        if keyword in result.source:
            setattr(capture, keyword, result.source.get(keyword))
    capture.SeriesDescription = f"cxrloc: picture ({NOT_FOR_DIAGNOSIS.lower()})"
    capture.ManufacturerModelName = result.algorithm.name[:64]
    capture.SoftwareVersions = result.algorithm.version
    return capture


def _with_note(picture: Image.Image) -> Image.Image:
    """The picture with a strip below it, which says that it is not for diagnosis."""
    size = max(12, picture.height // 40)
    # JPEG encodes blocks of 16 x 16 pixels if colour has half the resolution.
    height = 16 * -(-2 * size // 16)
    noted = Image.new("RGB", (picture.width, picture.height + height))
    noted.paste(picture)
    ImageDraw.Draw(noted).text(
        (size, picture.height + height // 2),
        NOT_FOR_DIAGNOSIS,
        fill="white",
        font=ImageFont.load_default(size),
        anchor="lm",
    )
    return noted


def _jpeg(picture: Image.Image) -> bytes:
    """The picture as a JPEG stream with colour at half the resolution along rows (4:2:2)."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:2")
    data = stream.getvalue()
    return data + b"\x00" * (len(data) % 2)
