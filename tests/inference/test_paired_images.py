"""Two-view networks through heatmap, classify and bench: pairs by study, or from a CSV."""

import csv
import json

import numpy as np
import pytest
from PIL import Image as Pillow

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.files.run_folder import Destination
from cxrloc.findings import CHEXPERT14
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.image_sets import read_images
from cxrloc.inference.paired_images import Pairing, paired_images
from cxrloc.inference.prepared import Failure, InferenceSettings
from cxrloc.models.card import ModelCard
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.networks import build_network
from cxrloc.models.weights import write_model
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.pipeline.heatmap import HeatmapOptions, heatmap
from tests.images.dicom_files import write_dicom

FINDINGS = ("Edema", "Pneumonia")
INFERENCE = InferenceSettings(device="cpu")


@pytest.fixture(scope="module")
def dualnet(tmp_path_factory):
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LocalizerConfig("small_resnet", FINDINGS, architecture="dualnet")
        network = build_network(config)
    card = ModelCard("dual", "nothing", FINDINGS, ("PA", "LATERAL"), {"Edema": 0.5})
    path = tmp_path_factory.mktemp("model") / "dual.safetensors"
    write_model(path, network, Preprocessing(size=64, source_size=None), card)
    return path


@pytest.fixture(scope="module")
def mimic(tmp_path_factory):
    """Four patients with a PA and a lateral image, one with an AP image only."""
    folder = tmp_path_factory.mktemp("mimic")
    generator = np.random.default_rng(0)
    metadata, labels = [], []
    for subject in range(10000001, 10000006):
        study = subject + 40000000
        views = ["AP"] if subject == 10000005 else ["PA", "LATERAL"]
        for view in views:
            name = f"{view}{subject}".lower()
            place = folder / "files" / "p10" / f"p{subject}" / f"s{study}"
            place.mkdir(parents=True, exist_ok=True)
            grey = generator.integers(0, 255, (70, 60), dtype=np.uint8)
            Pillow.fromarray(grey).save(place / f"{name}.jpg")
            metadata.append([name, subject, study, view, 20000101, 120000])
        present = {"Edema": subject % 2, "Pneumonia": 1 - subject % 2}
        labels.append([subject, study, *(present.get(name, "") for name in CHEXPERT14)])
    header = ["dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime"]
    write_csv(folder / "mimic-cxr-2.0.0-metadata.csv", header, metadata)
    header = ["subject_id", "study_id", *CHEXPERT14]
    write_csv(folder / "mimic-cxr-2.0.0-chexpert.csv", header, labels)
    return folder


def write_csv(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.mark.filterwarnings("ignore::UserWarning")  # scikit-learn, on so few units
def test_classify_predicts_once_per_pair_and_says_how_pairs_were_made(dualnet, mimic, tmp_path):
    options = ClassifyOptions((str(dualnet),), inference=INFERENCE)
    result = classify(mimic, tmp_path / "out", options)
    assert result.report.units == 4
    assert result.run["data"]["name"].endswith("4 pairs by study (first), 1 images in none")
    rows = (tmp_path / "out" / "probabilities.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [f"pa1000000{n}" for n in range(1, 5)]


def test_pairs_of_a_file_take_the_place_of_studies(dualnet, mimic, tmp_path):
    from cxrloc.models.weights import read_model

    pairs = write_csv(
        tmp_path / "pairs.csv", ["frontal", "lateral"], [["pa10000002", "lateral10000002"]]
    )
    image_set = read_images(mimic)
    paired = paired_images(*image_set[:3], [read_model(dualnet)], Pairing(pairs))
    (image,) = paired.images
    assert (image.image_id, len(paired.records)) == ("pa10000002", 1)
    assert image.read().view == "PA"
    assert image.read_partner().view == "LATERAL"


def test_pairs_for_a_network_of_one_view_are_refused(untrained_model, mimic, tmp_path):
    pairs = write_csv(tmp_path / "pairs.csv", ["frontal", "lateral"], [])
    options = ClassifyOptions((str(untrained_model),), pairing=Pairing(pairs))
    with pytest.raises(UsageError, match="--pairs is for networks that read two views"):
        classify(mimic, tmp_path / "out", options)


def test_data_without_laterals_say_what_is_missing(dualnet, tmp_path):
    options = ClassifyOptions((str(dualnet),), inference=INFERENCE)
    with pytest.raises(CxrlocError, match=r"no study has both a PA and a lateral image.*--pairs"):
        classify(None, tmp_path / "out", options)


def test_heatmap_pairs_dicom_files_by_study_and_draws_both_views(dualnet, tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for name, view, study in (("a", "PA", "1.2.3"), ("b", "LL", "1.2.3"), ("c", "PA", "1.2.4")):
        write_dicom(
            files / f"{name}.dcm",
            np.random.default_rng(0).integers(0, 4095, (80, 60), dtype=np.uint16),
            12,
            ViewPosition=view,
            StudyInstanceUID=study,
        )
    options = HeatmapOptions((str(dualnet),), inference=INFERENCE)
    first, second, alone = heatmap([files], Destination(tmp_path / "out"), options)
    assert isinstance(alone, Failure)
    assert "c.dcm: dual reads a frontal and a lateral image together" in alone.reason
    probabilities = [
        [row["probability"] for row in each.report["findings"]] for each in (first, second)
    ]
    assert probabilities[0] == probabilities[1]
    boxes = [
        json.dumps([row["boxes"] for row in each.report["findings"]]) for each in (first, second)
    ]
    assert boxes[0] != boxes[1]
    assert (tmp_path / "out" / "b.png").is_file()
