"""A radiograph keeps the facts of its DICOM header, but nothing that identifies the patient."""

import warnings
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from pydicom import Dataset, uid
from pydicom.sequence import Sequence

from cxrloc.images.dicom import recorded_warnings
from cxrloc.images.read import read_radiograph
from cxrloc.types import Radiograph, Sex, View
from tests.images.dicom_files import chest, dicom_header, write_dicom

PIXELS = (chest() * 4095).astype("u2")


def read(tmp_path: Path, pixels: np.ndarray = PIXELS, **tags: object) -> Radiograph:
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    return read_radiograph(write_dicom(tmp_path / "a", pixels, 12, **(window | tags)))


def test_a_plain_chest_gives_no_warning(tmp_path: Path) -> None:
    radiograph = read(tmp_path)
    assert radiograph.warnings == ()
    assert (radiograph.file_format, radiograph.bits_stored) == ("DICOM", 12)
    assert radiograph.intensity == "window 2048/4096 LINEAR"


@pytest.mark.parametrize(
    ("position", "view"),
    [
        ("PA", View.PA),
        ("AP", View.AP),
        ("LL", View.LATERAL),
        ("RL", View.LATERAL),
        ("LATERAL", View.LATERAL),
        ("LLO", None),
        ("", None),
    ],
)
def test_view_position_tells_the_view(tmp_path: Path, position: str, view: View | None) -> None:
    assert read(tmp_path, ViewPosition=position).view == view


@pytest.mark.parametrize(
    ("value", "scheme", "view"),
    [
        ("R-10214", "SRT", View.PA),
        ("272479007", "SCT", View.PA),
        ("R-10206", "SRT", View.AP),
        ("399067008", "SCT", View.LATERAL),
        ("X", "99LOCAL", None),
    ],
)
def test_a_view_code_tells_the_view_where_its_position_is_missing(
    tmp_path: Path, value: str, scheme: str, view: View | None
) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, "view"
    assert read(tmp_path, ViewCodeSequence=Sequence([code])).view == view


@pytest.mark.parametrize(
    ("tags", "spacing_mm"),
    [
        ({"PixelSpacing": [0.14, 0.15], "ImagerPixelSpacing": [0.2, 0.2]}, (0.14, 0.15)),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2)),
        ({"PixelSpacing": [0, 0]}, None),
        ({"PixelSpacing": None}, None),
        ({}, None),
    ],
)
def test_spacing_0_or_missing_is_none(
    tmp_path: Path, tags: dict, spacing_mm: tuple[float, float] | None
) -> None:
    assert read(tmp_path, **tags).spacing_mm == spacing_mm


@pytest.mark.parametrize(
    ("age", "years"),
    [("064Y", 64.0), ("018M", 1.5), ("000D", 0.0), ("81", 81.0), ("", None), ("ABCY", None)],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR AS")  # written wrongly on purpose
def test_age_is_in_years(tmp_path: Path, age: str, years: float | None) -> None:
    assert read(tmp_path, PatientAge=age).age_years == years


def test_sex_laterality_and_orientation_are_kept(tmp_path: Path) -> None:
    radiograph = read(
        tmp_path, PatientSex="F", ImageLaterality="U", Laterality="L", PatientOrientation=["L", "F"]
    )
    assert radiograph.sex == Sex.FEMALE
    assert radiograph.laterality == "L"
    assert radiograph.patient_orientation == ("L", "F")
    assert read(tmp_path, PatientSex="O").sex is None


@pytest.mark.parametrize(
    ("tags", "warning"),
    [
        ({"Modality": "CT"}, "Modality (0008,0060) is CT, not CR or DX"),
        ({"BodyPartExamined": "RIBCAGE"}, "BodyPartExamined (0018,0015) is RIBCAGE, not CHEST"),
        ({"BurnedInAnnotation": "YES"}, "BurnedInAnnotation (0028,0301) is YES"),
        (
            {"PhotometricInterpretation": "MONOCHROME1"},
            "PhotometricInterpretation (0028,0004) is M",
        ),
    ],
)
def test_a_doubtful_header_is_a_warning(tmp_path: Path, tags: dict, warning: str) -> None:
    (line,) = read(tmp_path, **tags).warnings
    assert line.startswith(warning)


@pytest.mark.parametrize(
    ("tags", "sentence"),
    [
        ({"PixelAspectRatio": [2, 1]}, "PixelAspectRatio (0028,0034) is 2 down and 1 across"),
        ({"PixelSpacing": [0.2, 0.1]}, "PixelSpacing (0028,0030) is 0.2 down and 0.1 across"),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, "ImagerPixelSpacing (0018,1164) is 0.1 down"),
        ({"NominalScannedPixelSpacing": [0.1, 0.2]}, "NominalScannedPixelSpacing (0018,2010) is"),
        (
            {"PatientOrientation": ["F", "L"]},
            "PatientOrientation (0020,0020) is F\\L, so the image lies",
        ),
        (
            {"PatientOrientation": ["R", "H"]},
            "PatientOrientation (0020,0020) is R\\H, so the image st",
        ),
        (
            {"PatientOrientation": ["R", "F"]},
            "PatientOrientation (0020,0020) is R\\F, so the image is",
        ),
        (
            {"PatientOrientation": ["HL", "A"]},
            "PatientOrientation (0020,0020) is HL\\A, so the image l",
        ),
        ({"PresentationIntentType": "FOR PROCESSING"}, "the image is FOR PROCESSING"),
        ({"SOPClassUID": uid.DigitalXRayImageStorageForProcessing}, "the image is FOR PROCESSING"),
    ],
)
def test_an_image_that_is_not_shown_as_it_is_stored_is_warned_of(
    tmp_path: Path, tags: dict, sentence: str
) -> None:
    (line,) = read(tmp_path, **tags).warnings
    assert line.startswith(sentence)


@pytest.mark.parametrize(
    "tags",
    [
        {"PixelSpacing": [0.1, 0.1004], "PixelAspectRatio": [1, 1]},
        {"PixelAspectRatio": [500, 500]},
        {"PatientOrientation": ["L", "F"]},
        {"PatientOrientation": ["LA", "FP"]},
        {"PatientOrientation": ["A", "F"], "ViewPosition": "LL"},
        {"PresentationIntentType": "FOR PRESENTATION"},
    ],
)
def test_square_upright_images_for_presentation_are_not_warned_of(
    tmp_path: Path, tags: dict
) -> None:
    assert read(tmp_path, **tags).warnings == ()


@pytest.mark.parametrize("keyword", ["Modality", "BodyPartExamined"])
def test_misplaced_text_in_a_code_string_is_not_quoted(tmp_path: Path, keyword: str) -> None:
    (line,) = read(tmp_path, **{keyword: "DOE JANE"}).warnings
    assert "JANE" not in line
    assert "is not a value that DICOM defines" in line


def test_misplaced_text_is_no_direction(tmp_path: Path) -> None:
    assert read(tmp_path, PatientOrientation=["L", "DOE JANE"]).patient_orientation == ()
    assert read(tmp_path, PatientOrientation=["L", "FP"]).patient_orientation == ("L", "FP")


@pytest.mark.parametrize("tags", [{"BodyPartExamined": "THORAX"}, {"Modality": "CR"}])
def test_other_words_for_a_chest_radiograph_are_no_warning(tmp_path: Path, tags: dict) -> None:
    assert read(tmp_path, **tags).warnings == ()


def test_inverted_pixels_tagged_monochrome2_are_warned_of(tmp_path: Path) -> None:
    (line,) = read(tmp_path, 4095 - PIXELS).warnings
    assert "is MONOCHROME2, but so shown the image looks inverted" in line


def test_laterals_are_not_judged_for_inversion(tmp_path: Path) -> None:
    assert read(tmp_path, 4095 - PIXELS, ViewPosition="LL").warnings == ()


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless])
def test_of_several_frames_the_first_is_read(tmp_path: Path, syntax: uid.UID) -> None:
    frames = np.stack([PIXELS, PIXELS // 2])
    header = dicom_header(frames, 12, NumberOfFrames=2, WindowCenter=2048, WindowWidth=4096)
    if syntax.is_encapsulated:
        header.compress(syntax, generate_instance_uid=False)
    header.save_as(tmp_path / "frames", enforce_file_format=True)
    radiograph = read_radiograph(tmp_path / "frames")
    assert np.array_equal(radiograph.pixels, read(tmp_path).pixels)
    assert any("the first frame is read" in line for line in radiograph.warnings)


def test_grey_saved_as_rgb_is_read(tmp_path: Path) -> None:
    grey = (chest() * 255).astype("u1")
    header = dicom_header(grey, 8, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    header.PlanarConfiguration = 0
    header.PixelData = np.stack([grey] * 3, axis=2).tobytes()
    header.save_as(tmp_path / "rgb", enforce_file_format=True)
    assert np.abs(read_radiograph(tmp_path / "rgb").pixels - grey / 255).max() < 1e-6


def test_no_name_and_no_id_of_the_patient_comes_out(tmp_path: Path) -> None:
    radiograph = read(tmp_path, PatientAge="064Y", OtherPatientIDs="SECRET-2")
    assert "secret" not in repr(radiograph).lower()


def test_complaints_of_pydicom_are_neither_raised_nor_quoted(tmp_path: Path) -> None:
    # Warnings are errors in these tests; this spacing is no number, this age no age.
    path = write_dicom(tmp_path / "a", PIXELS, 12, PixelSpacing=[0.11, 0.22], PatientAge="064Y")
    content = path.read_bytes().replace(b"0.11\\0.22", b"no number").replace(b"064Y", b"SECR")
    path.write_bytes(content)
    radiograph = read_radiograph(path)
    assert (radiograph.spacing_mm, radiograph.age_years) == (None, None)
    assert "SECR" not in repr(radiograph)


def test_a_warning_of_another_thread_lands_at_no_image() -> None:
    with recorded_warnings() as lines:
        warnings.warn("ours", stacklevel=1)
        other = Thread(target=warnings.warn, args=("theirs",))
        other.start()
        other.join()
    assert lines == ["ours"]


@pytest.mark.parametrize("group", ["PerFrame", "Shared"])
@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian], ids=["explicit", "implicit"]
)
def test_an_enhanced_object_is_shown_by_the_values_of_its_first_frame(
    tmp_path: Path, group: str, syntax: uid.UID
) -> None:
    pixels = (chest() * 4095).astype("u2")
    values = {
        "FrameVOILUTSequence": {"WindowCenter": 3000, "WindowWidth": 6000},
        "PixelValueTransformationSequence": {"RescaleSlope": 2, "RescaleIntercept": -1000},
        "PixelMeasuresSequence": {"PixelSpacing": [0.2, 0.1]},
    }
    frame = Dataset()
    for keyword, own in values.items():
        item = Dataset()
        item.update(own)
        setattr(frame, keyword, Sequence([item]))
    header = dicom_header(pixels, 12, **{f"{group}FunctionalGroupsSequence": Sequence([frame])})
    header.file_meta.TransferSyntaxUID = syntax
    header.save_as(tmp_path / "a", enforce_file_format=True)
    radiograph = read_radiograph(tmp_path / "a")
    assert radiograph.intensity == "rescaled 2 x + -1000, window 3000/6000 LINEAR"
    assert radiograph.spacing_mm == (0.2, 0.1)
    # PS3.3 C.11.2.1.2.1, by hand.
    levels = np.clip((2.0 * pixels - 1000 - 2999.5) / 5999 + 0.5, 0, 1)
    assert np.abs(radiograph.pixels - levels).max() <= 1e-6


def test_functional_groups_that_are_too_large_are_not_skipped_in_silence(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", (chest() * 4095).astype("u2"), 12)
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\0")
    size = 3_000_000
    empty_items = (b"\xfe\xff\0\xe0" + bytes(4)) * (size // 8)
    group = b"\x00\x52\x30\x92SQ\0\0" + size.to_bytes(4, "little") + empty_items
    path.write_bytes(content[:at] + group + content[at:])
    message = "PerFrameFunctionalGroupsSequence (5200,9230) is too large, and is not read"
    assert message in read_radiograph(path).warnings


@pytest.mark.parametrize("start", [b"LO\4\0", b"UN\0\0\4\0\0\0"], ids=["text", "garbage"])
def test_functional_groups_that_cannot_be_read_cost_no_image(tmp_path: Path, start: bytes) -> None:
    path = write_dicom(tmp_path / "a", (chest() * 4095).astype("u2"), 12)
    right, content = read_radiograph(path), path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\0")
    path.write_bytes(content[:at] + b"\x00\x52\x30\x92" + start + b"abcd" + content[at:])
    read = read_radiograph(path)
    assert np.array_equal(read.pixels, right.pixels)
    assert [*{*read.warnings} - {*right.warnings}] == [
        "the functional groups of its frames cannot be read and are ignored"
    ]
