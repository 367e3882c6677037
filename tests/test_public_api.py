"""The public names, with their signatures: a change here is a change for users."""

import inspect
from importlib.metadata import version

import pytest

import cxrloc

SIGNATURES = {
    "annotations_in_image": "record, rows, columns",
    "detections_from_heatmaps": "heatmaps, probabilities, thresholds",
    "localize_radiograph": "model, radiograph, image_id, settings",
    "make_phantom": "seed, index, size",
    "read_dataset": "path",
    "read_model": "name_or_path",
    "read_radiograph": "path, voi, max_megapixels",
    "score_localization": "records, detections, protocol, heatmaps, predicted",
    "classify": "data, out, options, watch, journal",
    "draw_panel": "pixels, width, title, heatmaps, finding, marks",
    "write_model": "path, network, preprocessing, card, typical, half",
    "ClassifyOptions": "models, predictions, labels, readings, split, projection, findings, "
    "population, unit, aggregation, uncertain, no_finding, tuning, operating_point, groups, "
    "beside, patient_ids, html, resampling, pairing, inference, data",
    "InferenceSettings": "method, findings, versions, device, batch_size, workers, seed, products, "
    "layer, precision",
    "Detections": "iterable",
    "Box": "x_min, y_min, x_max, y_max",
    "Detection": "image_id, finding, box, threshold, score",
    "Heatmaps": "image_id, findings, scores, to_image, image_rows, image_columns",
    "Model": "network, config, preprocessing, card, sha256, typical",
    "ModelCard": "name, trained_on, findings, views, operating_points, auc, "
    "box_thresholds, calibration, prevalence, training_patients, validation_patients, "
    "training_images, limits, recipe, may_have_seen, provenance, probabilities, data_sets, "
    "licence, distance, patients_beside",
    "Preprocessing": "size, fit, crop_from, source_size, bit_depth, mean, std, standardised, grey, "
    "interpolation, template",
    "Radiograph": "pixels, bits_stored, spacing_mm, view, age_years, sex, patient_orientation, "
    "laterality, photometric_interpretation, intensity, file_format, warnings, "
    "not_a_chest, read_stored",
    "Record": "image_id, patient_id, study_id, path, view, age_years, sex, labels, annotations, "
    "annotation_frame, labelled, vocabulary, ignored, warnings",
    "ScoringProtocol": "rules, population, box_thresholds, box_rule, finding_thresholds, "
    "thresholds_from, tolerance, thresholds, resampling, draws",
}


def test_the_public_names_are_these() -> None:
    assert sorted(cxrloc.__all__) == sorted([*SIGNATURES, "CxrlocError"])


def test_the_version_is_that_of_the_installed_package() -> None:
    assert cxrloc.__version__ == version("cxrloc")


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_public_name_keeps_its_parameters_and_explains_itself(name: str) -> None:
    public = getattr(cxrloc, name)
    assert ", ".join(inspect.signature(public).parameters) == SIGNATURES[name]
    assert public.__doc__
    assert not public.__doc__.startswith(f"{name}(")
