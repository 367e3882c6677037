"""Patients who must not be trained on, for every reader, and findings that no label mentions."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrloc.datasets import read_as
from cxrloc.datasets.boxed_patients import NIH, boxed_patients, named_patients
from cxrloc.datasets.rsna_pneumonia import MAPPING
from cxrloc.datasets.splits import Parts
from cxrloc.errors import CxrlocError
from cxrloc.recipe import read_recipe
from cxrloc.training.data import training_data
from cxrloc.training.labels import label_warnings
from cxrloc.training.records import find_records
from cxrloc.types import Label, Record

RECIPE = """
title = "Of RSNA's images"
[data]
reader = "rsna_pneumonia"
[data.split]
kind = "ratios"
ratios = [0.6, 0.4, 0.0]
[preprocessing]
size = 8
[network]
backbone = "small_resnet"
findings = ["Pneumonia"]
[fit]
batch_size = 1
steps = 1
[fit.schedule]
learning_rate = 1e-3
"""
BOX_LIST = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"


@pytest.fixture
def rsna(tmp_path: Path) -> Path:
    """Eight images of four patients of ChestX-ray14, of whom the third has a box there."""
    images = tmp_path / "stage_2_train_images"
    images.mkdir()
    rows = ["patientId,x,y,width,height,Target"]
    mapping = []
    for number in range(8):
        Image.fromarray(np.full((8, 8), 30 * number, np.uint8)).save(images / f"uid-{number}.png")
        rows.append(f"uid-{number}," + ("1,2,3,4,1" if number % 2 else ",,,,0"))
        name = f"{number // 2 + 1:08d}_{number % 2:03d}.png"
        mapping.append({"subset_img_id": f"uid-{number}", "img_id": name})
    (tmp_path / "stage_2_train_labels.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / MAPPING).write_text(json.dumps(mapping))
    (tmp_path / "BBox_List_2017.csv").write_text(BOX_LIST + "00000003_007.png,Mass,1,2,3,4\n")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def parts_of(rsna: Path) -> Parts:
    recipe, labels = read_recipe(rsna / "recipe.toml"), rsna / "stage_2_train_labels.csv"
    return training_data(recipe, labels, rsna / "cache").parts


def test_rsna_images_of_a_boxed_patient_are_never_trained_on(rsna: Path) -> None:
    train, validation, test, _ = parts_of(rsna)
    assert {record.patient_id for record in test} == {"3"}
    assert {record.image_id for record in test} == {"uid-4", "uid-5"}
    assert {record.patient_id for record in [*train, *validation]} == {"1", "2", "4"}
    assert not {r.patient_id for r in train} & {r.patient_id for r in validation}


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (MAPPING, "it says which patients of ChestX-ray14 the images are of; put it there"),
        ("BBox_List_2017.csv", r"no BBox_List\*\.csv: it says whom not to train on; put it there"),
    ],
)
def test_rsna_without_a_list_of_whom_not_to_train_on_is_refused(
    rsna: Path, missing: str, message: str
) -> None:
    (rsna / missing).unlink()
    with pytest.raises(CxrlocError, match=message):
        parts_of(rsna)


def test_a_mapping_that_lacks_an_image_is_refused_by_its_name(rsna: Path) -> None:
    entries = json.loads((rsna / MAPPING).read_text())
    (rsna / MAPPING).write_text(json.dumps(entries[:-1]))
    with pytest.raises(CxrlocError, match="names no image of ChestX-ray14 for uid-7"):
        parts_of(rsna)
    (rsna / MAPPING).write_text("[1]")
    with pytest.raises(CxrlocError, match="not the challenge's list"):
        parts_of(rsna)


def test_images_named_as_nih_names_them_are_guarded_in_any_list(tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text(
        "image,finding,x,y,width,height\n"
        "00000001_000.png,Mass,1,2,3,4\n00000003_001.png,Mass,1,2,3,4\nother.png,Mass,1,2,3,4\n"
    )
    records = named_patients(read_as("boxes", mine))
    assert [record.patient_id for record in records] == ["1", "3", "other"]
    with pytest.raises(CxrlocError, match="holds no BBox_List"):
        boxed_patients("boxes", mine, records)
    (tmp_path / "BBox_List_2017.csv").write_text(BOX_LIST + "00000003_007.png,Mass,1,2,3,4\n")
    assert boxed_patients("boxes", mine, records).patients == {"3"}
    assert not boxed_patients("boxes", mine, records[2:]).patients


@pytest.mark.parametrize("reader", ["siim_pneumothorax", "chestx_det"])
def test_nih_images_that_lost_their_names_are_warned_of_and_flag_the_model(
    tmp_path: Path, reader: str
) -> None:
    boxed = boxed_patients(reader, tmp_path, [Record("a", "a", "a", None)])
    assert boxed.may_have_seen == (NIH,)
    assert "under other names, and nothing says which" in boxed.warnings[0]


def test_images_of_other_hospitals_need_no_list(tmp_path: Path) -> None:
    record = Record("0a", "0a", "0a", None)
    assert boxed_patients("vindr_cxr", tmp_path, [record]) == (frozenset(), (), ())


def labelled(**labels: Label) -> Record:
    return Record("a", "1", "a", None, labels=labels)


def test_a_finding_that_no_label_mentions_is_refused() -> None:
    train = [labelled(Mass=Label.POSITIVE), labelled()]
    with pytest.raises(CxrlocError, match="no image has a label for Nodule: leave it out of find"):
        label_warnings(Parts(train, [], []), train, ["Mass", "Nodule"])


@pytest.mark.parametrize("elsewhere", [Label.POSITIVE, Label.NEGATIVE])
def test_a_finding_that_no_training_image_has_is_warned_of(elsewhere: Label) -> None:
    train = [labelled(Mass=Label.NEGATIVE, Edema=Label.UNCERTAIN)]
    parts = Parts(train, [], [labelled(Mass=elsewhere, Nodule=elsewhere)])
    (message,) = label_warnings(parts, train, ["Mass", "Nodule", "Edema"])
    assert message.startswith("no training image has Mass, Nodule:")


def test_a_label_of_no_finding_of_the_recipe_is_named() -> None:
    train = [labelled(Mass=Label.POSITIVE, Edema=Label.POSITIVE, Nodul=Label.POSITIVE)]
    (message,) = label_warnings(Parts(train, [], []), train, ["Mass"])
    assert message == "labels of Nodul are not learned: no findings of the recipe, nor known ones"
    with pytest.raises(
        CxrlocError, match=r"a label for Nodule: .*; these have Nodul, which are no"
    ):
        label_warnings(Parts(train, [], []), train, ["Mass", "Nodule"])


def test_a_recipe_reads_only_images_of_its_views(tmp_path: Path) -> None:
    (tmp_path / "Data_Entry_2017.csv").write_text(
        "Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position\n"
        + "".join(
            f"{number:08d}_00{image}.png,Pneumonia,{number},50,F,{view}\n"
            for number in range(1, 21)
            for image, view in enumerate(("PA", "AP"))
        )
    )
    (tmp_path / "BBox_List_2017.csv").write_text(BOX_LIST + "00000003_000.png,Mass,1,2,3,4\n")
    text = RECIPE.replace('"rsna_pneumonia"', '"chestxray14"\nviews = ["AP"]')
    (tmp_path / "recipe.toml").write_text(text)
    parts = find_records(read_recipe(tmp_path / "recipe.toml"), tmp_path).parts
    assert {len(part) > 0 for part in parts[:3]} == {True}
    records = [record for part in parts[:3] for record in part]
    assert sorted(record.image_id for record in records) == [
        f"{number:08d}_001" for number in range(1, 21)
    ]
