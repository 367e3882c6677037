"""Phantoms on disk: the published layout, file by file."""

import csv
import errno
import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.files.whole import DiskError
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom, write_phantoms
from cxrloc.phantom.write import WRITERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, 24, seed=5, size=64)
    return folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_data_entry_has_the_published_columns(folder):
    header, *entries = rows(folder / "Data_Entry_2017.csv")
    assert header == [
        "Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age",
        "Patient Gender", "View Position", "OriginalImage[Width", "Height]",
        "OriginalImagePixelSpacing[x", "y]",
    ]  # fmt: skip
    assert len(entries) == 24
    assert all(len(entry) == len(header) for entry in entries)
    assert {entry[6] for entry in entries} == {"PA", "AP"}
    assert any(entry[1] == "No Finding" for entry in entries)


def test_boxes_are_of_test_images_and_lists_share_no_patient(folder):
    header, *boxes = rows(folder / "BBox_List_2017.csv")
    assert header == ["Image Index", "Finding Label", "Bbox [x", "y", "w", "h]", "", "", ""]
    tested = (folder / "test_list.txt").read_text().split()
    others = (folder / "train_val_list.txt").read_text().split()
    assert {box[0] for box in boxes} <= set(tested)
    assert not {name[:8] for name in tested} & {name[:8] for name in others}
    assert len(tested) + len(others) == 24
    assert {box[1] for box in boxes} <= {
        "Atelectasis", "Cardiomegaly", "Effusion", "Infiltrate", "Mass", "Nodule", "Pneumonia",
        "Pneumothorax",
    }  # fmt: skip


def test_box_list_says_what_the_records_say_in_the_published_frame(folder):
    _, *written = rows(folder / "BBox_List_2017.csv")
    boxes = {(r[0], r[1].replace("Infiltrate", "Infiltration")): r[2:6] for r in written}
    tested = set((folder / "test_list.txt").read_text().split())
    annotations = [
        a for i in range(24) for a in phantom_record(plan_phantom(5, i), 1024).annotations
    ]
    truth = [a for a in annotations if f"{a.image_id}.png" in tested]
    assert len(truth) == len(boxes)
    for annotation in truth:
        x, y, width, height = map(float, boxes[f"{annotation.image_id}.png", annotation.finding])
        box = annotation.box
        assert (x, y, x + width) == pytest.approx((box.x_min, box.y_min, box.x_max))
        assert y + height == pytest.approx(box.y_max)


def test_png_holds_the_phantom_in_8_bits(folder):
    image = Image.open(folder / "images" / "00600000_000.png")
    expected = make_phantom(5, 0, 64).pixels
    assert image.mode == "L"
    assert np.abs(np.asarray(image) / 255 - expected).max() <= 0.5 / 255 + 1e-6


def test_dicom_holds_the_phantom_in_12_bits_with_dx_headers(tmp_path):
    (record, *_) = write_phantoms(tmp_path, 2, seed=5, file_format="dicom", size=64)
    data = pydicom.dcmread(record.path)
    assert (data.Modality, data.BitsStored, data.PhotometricInterpretation) == (
        "DX",
        12,
        "MONOCHROME2",
    )
    assert data.ViewPosition == record.view.value
    assert str(data.PatientID) == f"phantom-{record.patient_id}"
    assert (
        np.abs(data.pixel_array / 4095 - make_phantom(5, 0, 64).pixels).max() <= 0.5 / 4095 + 1e-6
    )


@pytest.mark.parametrize(
    ("n", "file_format", "message"),
    [
        (0, "png", "from 1 to 160,000"),
        (2, "bmp", "choose one of png, dicom"),
    ],
)
def test_wrong_requests_say_what_to_choose(tmp_path, n, file_format, message):
    with pytest.raises(CxrlocError, match=message):
        write_phantoms(tmp_path, n, seed=0, file_format=file_format)


def test_a_data_set_is_not_overwritten(folder):
    with pytest.raises(CxrlocError, match="holds a data set already"):
        write_phantoms(folder, 2, seed=0, size=32)


def test_a_place_where_no_folder_can_be_made_is_wrong_usage(tmp_path):
    (tmp_path / "file").write_text("a plain file")
    with pytest.raises(UsageError, match="no such folder can be made"):
        write_phantoms(tmp_path / "file" / "below", 1, seed=0, size=32)


def test_a_disk_that_is_read_only_is_no_wrong_usage(tmp_path, monkeypatch):
    def refuse(*arguments, **more):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DiskError, match="Read-only file system"):
        write_phantoms(tmp_path, 1, seed=0, size=32)


def test_an_interrupted_folder_is_marked_as_synthetic_and_is_filled_by_the_next_call(tmp_path):
    def interrupted(series):
        yield next(iter(series))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantoms(tmp_path, 4, seed=5, size=64, watch=interrupted)
    assert {path.name for path in tmp_path.iterdir()} == {"images", "SYNTHETIC.txt"}
    assert len(write_phantoms(tmp_path, 4, seed=5, size=64)) == 4


def test_an_image_that_is_cut_off_leaves_no_half_file(tmp_path, monkeypatch):
    def half(phantom, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setitem(WRITERS, "png", (".png", half))
    with pytest.raises(KeyboardInterrupt):
        write_phantoms(tmp_path, 1, seed=5, size=64)
    assert list((tmp_path / "images").iterdir()) == []
