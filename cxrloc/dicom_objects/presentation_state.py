"""A softcopy presentation state that draws the boxes over the source image."""

from copy import deepcopy
from typing import Any

import numpy as np
from highdicom import PresentationLUTTransformation, pr
from highdicom.color import CIELabColor
from jaxtyping import Float
from PIL import ImageCms
from pydicom import Dataset

from cxrloc.dicom_objects.result import (
    NOT_FOR_DIAGNOSIS,
    DicomResult,
    FindingResult,
    identity_of,
    region_names,
)
from cxrloc.dicom_objects.stamp import SERIES_NUMBERS, equipment_of, stand_in
from cxrloc.dicom_objects.structured_report import corners
from cxrloc.types import Box, Detection

KIND = "gsps"
LAYER = "CXRLOC"
LABEL_HEIGHT = 0.03  # of the image's height


def presentation_state(result: DicomResult) -> Dataset | None:
    """The boxes and their labels as graphics; None if the result has no box.

    An image in colour gets a color softcopy presentation state (PS3.3, A.33.2), and any other image
    a grayscale one (PS3.3, A.33.1). The state holds no window, because a viewer such as Weasis
    would replace the reader's own window by it. A note in the upper left corner says that the boxes
    are not for diagnosis.
    """
    if not region_names(result):
        return None
    layer = pr.GraphicLayer(
        LAYER,
        order=1,
        description=NOT_FOR_DIAGNOSIS,
        display_color=CIELabColor(l_star=80.0, a_star=-10.0, b_star=60.0),
    )
    identity, image = identity_of(result, KIND), stand_in(result.source)
    state = _state(
        image,
        series_instance_uid=identity.series_instance_uid,
        series_number=SERIES_NUMBERS[KIND],
        sop_instance_uid=identity.sop_instance_uid,
        instance_number=1,
        **equipment_of(result.algorithm),
        content_label="CXRLOC",
        content_description=NOT_FOR_DIAGNOSIS,
        graphic_layers=[layer],
        graphic_annotations=[_annotation(result, image, layer)],
        concept_name=None,
    )
    # Laterality (0020,0060) is of type 2C: it is not required if the body part is not paired.
    state.BodyPartExamined = "CHEST"
    state.SeriesDescription = f"cxrloc: boxes ({NOT_FOR_DIAGNOSIS.lower()})"
    return state


def _state(source: Dataset, **content: Any) -> Dataset:
    """A state of the class that the image's photometric interpretation needs (PS3.3, C.7.6.3.1.2).

    Args:
        source: header of the image.
        content: what the state shows, and its identifiers.
    """
    photometric = source.PhotometricInterpretation
    if photometric.startswith("MONOCHROME"):
        # A state replaces the image's own polarity, so it must invert an image in MONOCHROME1.
        shape = "INVERSE" if photometric == "MONOCHROME1" else "IDENTITY"
        lut = PresentationLUTTransformation(shape)
        return pr.GrayscaleSoftcopyPresentationState(
            [source], presentation_lut_transformation=lut, **content
        )
    # highdicom refuses images with a palette, although the standard allows them.
    colour = deepcopy(source)  # the elements of a copy are those of the source
    colour.SamplesPerPixel = 3
    return pr.ColorSoftcopyPresentationState([colour], icc_profile=_srgb_profile(), **content)


def _srgb_profile() -> bytes:
    """The ICC profile of an input device in sRGB, as a colour state needs it (PS3.3, C.11.15).

    Pillow makes the profile of a display: bytes 12 to 15 of the header name the kind of device.
    Bytes 24 to 35 hold the time at which the profile was made, which would differ in a second run.
    """
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:12] + b"scnr" + profile[16:24] + bytes(12) + profile[36:]


def _annotation(
    result: DicomResult, image: Dataset, layer: pr.GraphicLayer
) -> pr.GraphicAnnotation:
    boxes, texts = [], []
    rows, columns = int(result.source.Rows), int(result.source.Columns)
    for each, detection, identifier, uid in region_names(result):
        boxes.append(
            pr.GraphicObject(
                pr.GraphicTypeValues.POLYLINE,
                _in_pixels(detection.box, rows, columns),
                units=pr.AnnotationUnitsValues.PIXEL,
                tracking_id=identifier,
                tracking_uid=uid,
            )
        )
        texts.append(_label(_label_text(each, detection), detection.box, rows, columns))
    texts.append(_label(NOT_FOR_DIAGNOSIS, Box(0, 0, columns, rows * LABEL_HEIGHT), rows, columns))
    return pr.GraphicAnnotation(
        referenced_images=[image],
        graphic_layer=layer,
        graphic_objects=boxes,
        text_objects=texts,
    )


def _label_text(each: FindingResult, detection: Detection) -> str:
    above = "" if detection.threshold is None else f" (map above {detection.threshold:g})"
    return f"{each.finding} {each.probability:.2f}{above}"


def _label(text: str, box: Box, rows: int, columns: int) -> pr.TextObject:
    """The text object along the upper edge of a box, inside the image."""
    height = max(1.0, rows * LABEL_HEIGHT)
    x_min, y_min = max(1.0, box.x_min), max(1.0, min(box.y_min, rows - height))
    return pr.TextObject(
        text,
        units=pr.AnnotationUnitsValues.PIXEL,
        bounding_box=(x_min, y_min, float(columns), min(float(rows), y_min + height)),
        text_justification=pr.TextJustificationValues.LEFT,
    )


def _in_pixels(box: Box, rows: int, columns: int) -> Float[np.ndarray, "point 2"]:
    """The box in the pixel units of a presentation state, inside the displayed area.

    In these units the upper left corner of the upper left pixel is (0, 0) in sub-pixel resolution,
    and values lie between 0 and the number of columns or rows (PS3.3, C.10.5.1.2).
    """
    points = corners(box)
    points[:, 0] = points[:, 0].clip(0, columns)
    points[:, 1] = points[:, 1].clip(0, rows)
    return points
