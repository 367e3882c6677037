"""Objects inherit valid values only: those that are not valid are empty, and named in a warning."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import UID

from cxrloc.dicom_objects.source import moment_of, read_source
from cxrloc.errors import CxrlocError
from tests.dicom_objects.results import phantom_file, result_on
from tests.dicom_objects.test_objects import errors_in, objects_of

ESC = b"\x1b"

NOT_VALID: dict[str, tuple[bytes, ...]] = {
    "PatientName": (
        b"A" * 65,  # a group has at most 64 characters
        b"A=" + b"B" * 65,
        b"A=B=C=D",  # at most three groups
        b"A^B^C^D^E^F",  # of at most five components
        b"A\\B",  # one value
        b"A\x07B",
        b"A\tB",
    ),
    "PatientID": (b"1" * 65, b"12\\34", b"12\x0034", b"12\n34"),
    "IssuerOfPatientID": (b"1" * 65, b"A\\B", b"A\x01B"),
    "PatientBirthDate": (b"1950-01-02", b"19500132", b"195001", b"00000000", b"99991231"),
    "PatientSex": (b"Male", b"m", b"M\\F", b"U", b"1"),
    "PatientAge": (b"81", b"81Y", b"1000Y", b"081y", b"081Y\\082Y", b"-01Y"),
    "StudyDate": (b"1950.01.02", b"20230229", b"19500102-19510102", b"19500102\\19510102"),
    "StudyTime": (b"25:00:00", b"10:20:30", b"246060", b"235960", b"102030.1234567", b"9"),
    "ReferringPhysicianName": (b"Dr^" + b"x" * 80, b"A\\B"),
    "StudyID": (b"1" * 17, b"1\\2", b"1\x1f2"),
    "AccessionNumber": (b"1" * 17, b"1\\2", b"1\n2"),
    "StudyDescription": (b"x" * 65, b"x\\y", b"x\r\ny"),
}
"""Values that violate PS3.5, section 6.2, by attribute."""

OPTIONAL = ("IssuerOfPatientID", "PatientAge", "StudyDescription")

NAMES: dict[str, tuple[str, bytes, str]] = {
    "none": ("", b"Smith^John", "Smith^John"),
    "Latin 1": ("ISO_IR 100", "Buc^Jérôme".encode("latin-1"), "Buc^Jérôme"),
    "Latin 2": ("ISO_IR 101", "Wałęsa".encode("iso8859-2"), "Wałęsa"),
    "Latin 3": ("ISO_IR 109", "Ĥ".encode("iso8859-3"), "Ĥ"),
    "Latin 4": ("ISO_IR 110", "Šķ".encode("iso8859-4"), "Šķ"),
    "Cyrillic": ("ISO_IR 144", "Люк".encode("iso8859-5"), "Люк"),
    "Arabic": ("ISO_IR 127", "قباني^لنزار".encode("iso8859-6"), "قباني^لنزار"),
    "Greek": ("ISO_IR 126", "Διονυσιος".encode("iso8859-7"), "Διονυσιος"),
    "Hebrew": ("ISO_IR 138", "שרון^דבורה".encode("iso8859-8"), "שרון^דבורה"),
    "Latin 5": ("ISO_IR 148", "Çavuşoğlu".encode("iso8859-9"), "Çavuşoğlu"),
    "Thai": ("ISO_IR 166", "นามสกุล".encode("tis-620"), "นามสกุล"),
    "katakana": ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift-jis"), "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    # PS3.5, annex H, example 1.
    "kanji": (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou="
        + (ESC + b"$B;3ED" + ESC + b"(B^" + ESC + b"$BB@O:" + ESC + b"(B=")
        + (ESC + b"$B$d$^$@" + ESC + b"(B^" + ESC + b"$B$?$m$&" + ESC + b"(B"),
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    # PS3.5, annex H, example 2.
    "katakana and kanji": (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=".encode("shift-jis")
        + (ESC + b"$B;3ED" + ESC + b"(J^" + ESC + b"$BB@O:" + ESC + b"(J=")
        + (ESC + b"$B$d$^$@" + ESC + b"(J^" + ESC + b"$B$?$m$&" + ESC + b"(J"),
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    # PS3.5, annex I.
    "Korean": (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong="
        + (ESC + b"$)C" + "洪".encode("euc-kr") + b"^" + ESC + b"$)C" + "吉洞".encode("euc-kr"))
        + (b"=" + ESC + b"$)C" + "홍".encode("euc-kr") + b"^")
        + (ESC + b"$)C" + "길동".encode("euc-kr")),
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    # PS3.5, annex K.
    "Chinese with code extensions": (
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong="
        + (ESC + b"$)A" + "张".encode("gb2312") + b"^" + ESC + b"$)A" + "小东".encode("gb2312")),
        "Zhang^XiaoDong=张^小东",
    ),
    # PS3.5, annex J. The second byte of 誠 is that of a backslash.
    "GB18030": ("GB18030", "Wang^Cheng=王^誠".encode("gb18030"), "Wang^Cheng=王^誠"),
    "GBK": ("GBK", "Wang^XiaoDong=王^小东".encode("gbk"), "Wang^XiaoDong=王^小东"),
    "UTF-8": ("ISO_IR 192", "Wang^XiaoDong=王^小东".encode(), "Wang^XiaoDong=王^小东"),
    "Western and Cyrillic": (
        "ISO 2022 IR 100\\ISO 2022 IR 144",
        "Jérôme^".encode("latin-1") + ESC + b"-L" + "Люк".encode("iso8859-5"),
        "Jérôme^Люк",
    ),
}
"""Specific Character Set (PS3.3, C.12.1.1.2), the bytes of a name, and the name."""


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom_file(tmp_path_factory.mktemp("source"), size=32)


def with_bytes(image: Path, folder: Path, values: Mapping[str, bytes]) -> Path:
    """A copy of an image whose elements have these bytes, valid or not."""
    dataset = pydicom.dcmread(image)
    for keyword, value in values.items():
        tag, padded = Tag(tag_for_keyword(keyword) or 0), value + b" " * (len(value) % 2)
        raw = RawDataElement(tag, dictionary_VR(tag), len(padded), padded, 0, False, True)
        dataset._dict[tag] = raw
    path = folder / "altered.dcm"
    with pydicom.config.disable_value_validation():
        # pydicom writes raw elements unchanged if the character set seems to be the original one.
        dataset.set_original_encoding(False, True, dataset._character_set)
        dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("keyword", NOT_VALID)
def test_what_is_not_valid_is_left_out_and_named(
    keyword: str, phantom: Path, tmp_path: Path
) -> None:
    tag = DataElement(keyword, dictionary_VR(keyword), None).tag
    for value in NOT_VALID[keyword]:
        header, warnings = read_source(with_bytes(phantom, tmp_path, {keyword: value}))
        expected = "absent" if keyword in OPTIONAL else ""
        assert header.get(keyword, "absent") == expected, value
        (warning,) = warnings
        assert warning.startswith(f"{keyword} {tag} "), value
        # The value may identify the patient, so it is not quoted.
        assert len(value) < 3 or value.decode("latin-1") not in warning


def test_what_is_valid_stays_without_a_warning(phantom: Path, tmp_path: Path) -> None:
    values = {
        "PatientName": b"A" * 64 + b"=" + b"B" * 64,
        "PatientID": b" 12 ",  # leading and trailing spaces mean nothing
        "StudyID": b"1" * 16,
        "PatientAge": b"081Y",
        "PatientSex": b"O",
        "StudyDate": b"20240229",
        "StudyTime": b"1020",
        "StudyDescription": b"x" * 64,
        "AccessionNumber": b"12\0\0",  # a padding that writers use
    }
    header, warnings = read_source(with_bytes(phantom, tmp_path, values))
    assert warnings == ()
    read = {keyword: str(header[keyword].value) for keyword in values}
    assert read == {k: value.decode().strip(" \0") for k, value in values.items()}


@pytest.mark.parametrize("script", NAMES)
def test_names_of_every_character_set_become_utf8(
    script: str, phantom: Path, tmp_path: Path
) -> None:
    character_set, name, text = NAMES[script]
    values = {"SpecificCharacterSet": character_set.encode(), "PatientName": name}
    header, warnings = read_source(with_bytes(phantom, tmp_path, values))
    assert (str(header.PatientName), header.SpecificCharacterSet) == (text, "ISO_IR 192")
    assert warnings == ()


def test_bytes_that_are_no_character_are_not_guessed(phantom: Path, tmp_path: Path) -> None:
    values = {"SpecificCharacterSet": b"ISO_IR 192", "PatientName": "Jérôme".encode("latin-1")}
    header, warnings = read_source(with_bytes(phantom, tmp_path, values))
    assert header.PatientName == ""
    assert "bytes that its character set does not define" in warnings[0]


def test_absent_attributes_of_type_2_become_empty(phantom: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(phantom)
    for keyword in NOT_VALID:
        if keyword in dataset:
            del dataset[keyword]
    dataset.save_as(tmp_path / "bare.dcm", enforce_file_format=True)
    header, warnings = read_source(tmp_path / "bare.dcm")
    assert {keyword: header.get(keyword) for keyword in NOT_VALID} == {
        keyword: None if keyword in OPTIONAL else "" for keyword in NOT_VALID
    }
    assert warnings == ()


@pytest.mark.parametrize(
    "value", [b"", b"1..2", b"01.2", b"1.2.a", b"1.02", b"3.1", b"1." * 33 + b"1"]
)
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_an_image_that_no_object_can_name_is_refused(
    keyword: str, value: bytes, phantom: Path, tmp_path: Path
) -> None:
    why = "no UID" if value else "missing"
    with pytest.raises(CxrlocError, match=rf"altered.dcm: {keyword} \(.*\) is {why}"):
        read_source(with_bytes(phantom, tmp_path, {keyword: value}))


def test_a_uid_with_spaces_around_it_is_one(phantom: Path, tmp_path: Path) -> None:
    header, _ = read_source(with_bytes(phantom, tmp_path, {"StudyInstanceUID": b" 1.2.3 "}))
    assert header.StudyInstanceUID == UID("1.2.3")


@pytest.mark.parametrize(
    "spacing",
    [b"0\\0", b"-1\\-1", b"0.1", b"0.1\\0.1\\0.1", b"a\\b", b"0.1\\b", b"a\\0.1", b"nan\\nan"],
)
def test_a_spacing_that_is_none_is_left_out(spacing: bytes, phantom: Path, tmp_path: Path) -> None:
    values = {"PixelSpacing": spacing, "ImagerPixelSpacing": b"0.2\\0.2"}
    header, _ = read_source(with_bytes(phantom, tmp_path, values))
    assert "PixelSpacing" not in header
    np.testing.assert_allclose(header.ImagerPixelSpacing, [0.2, 0.2])


@pytest.mark.parametrize(
    ("slope", "intercept"), [(b"a", b"1"), (b"1", b"a"), (b"0", b"1"), (b"1\\2", b"0"), (b"1", b"")]
)
def test_a_rescaling_that_is_none_is_left_out(
    slope: bytes, intercept: bytes, phantom: Path, tmp_path: Path
) -> None:
    """Of a slope that is no number, no object could be made."""
    values = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    header, _ = read_source(with_bytes(phantom, tmp_path, values))
    assert "RescaleSlope" not in header
    assert "RescaleIntercept" not in header


def test_the_moment_is_that_of_the_acquisition_or_the_closest_that_is_known() -> None:
    header = Dataset()
    assert moment_of(header) is None
    header.StudyDate, header.StudyTime = "20240229", "1020"
    assert moment_of(header) == datetime(2024, 2, 29, 10, 20)  # seconds may be left out
    header.StudyTime = "10"
    assert moment_of(header) == datetime(2024, 2, 29, 10)
    del header.StudyTime
    assert moment_of(header) == datetime(2024, 2, 29)
    header.AcquisitionDate, header.AcquisitionTime = "20240301", "102030.5"
    assert moment_of(header) == datetime(2024, 3, 1, 10, 20, 30)


ROUNDS = range(max(map(len, NOT_VALID.values())))


@pytest.mark.slow
@pytest.mark.parametrize("number", ROUNDS)
def test_objects_of_poor_headers_are_valid(number: int, phantom: Path, tmp_path: Path) -> None:
    """Each round takes another value of every attribute that is not valid."""
    values = {keyword: each[number % len(each)] for keyword, each in NOT_VALID.items()}
    header, warnings = read_source(with_bytes(phantom, tmp_path, values))
    assert len(warnings) == len(NOT_VALID)
    _check(header, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("script", NAMES)
def test_objects_with_names_of_every_script_are_valid(
    script: str, phantom: Path, tmp_path: Path
) -> None:
    character_set, name, text = NAMES[script]
    values = {"SpecificCharacterSet": character_set.encode(), "PatientName": name}
    header, _ = read_source(with_bytes(phantom, tmp_path, values))
    for made in _check(header, tmp_path).values():
        made.save_as(tmp_path / "made.dcm", enforce_file_format=True)
        assert pydicom.dcmread(tmp_path / "made.dcm").PatientName == text


def _check(header: Dataset, folder: Path) -> dict[str, Dataset]:
    made = objects_of(result_on(header))
    assert len(made) == 6
    found = {name: errors_in(each, folder) for name, each in made.items()}
    assert not any(found.values()), found
    return made
