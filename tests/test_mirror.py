"""The tests mirror the package, so that a newcomer finds the tests of a module by its name.

A module `cxrloc/ROOM/NAME.py` has a file `tests/ROOM/test_NAME.py` or `test_NAME_WHAT.py`, or
a test of its room imports it by name. Every file of tests begins with the name of a module or of
its room. What differs is listed here, with the reason.
"""

import re
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "cxrloc"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if not path.name.startswith("__")]
TESTS = sorted(HERE.rglob("test_*.py"))

OF_SEVERAL_ROOMS = ("hostile", "papers")
"""Folders of tests of many rooms together: damaged files, and claims of the papers."""

CONTRACTS = ("kills", "layers", "mirror", "public_api", "readme", "shapes")
"""Tests of the package as a whole."""

TESTED_BY_COMMANDS = ("cli", "pipeline")
"""Rooms whose pages `test_cli.py` and the tests of the commands run as a user does."""

TESTED_ELSEWHERE = {
    # Each format of boxes and masks is read by the tests of the reader that chooses among them.
    "datasets/box_folders.py": "datasets/test_own_data.py",
    "datasets/coco.py": "datasets/test_boxes.py",
    "datasets/voc.py": "datasets/test_boxes.py",
    # Regions in each kind of object are read by the tests of the reader of all kinds.
    "datasets/report_regions.py": "datasets/test_dicom_regions.py",
    "datasets/reported_region.py": "datasets/test_dicom_regions.py",
    "datasets/segmentation_regions.py": "datasets/test_dicom_regions.py",
    # Rules of one paper are tested with that paper's other claims.
    "datasets/single_label.py": "papers/test_dong2017_sampling.py",
    "evaluation/classification/classification_report.py": "panels/test_shown.py",
    "evaluation/classification/image_rankings.py": "papers/test_dong2017_evaluation.py",
    "inference/hierarchy.py": "papers/test_pham2019_training.py",
    # Patients with a box may not be trained on: tested where records for training are chosen.
    "datasets/boxed_patients.py": "training/test_records.py",
    # What a command writes is tested by running the command.
    "archive/image_steps.py": "pipeline/test_archive.py",
    "datasets/description.py": "test_cli.py",
    "evaluation/classification/folds.py": "pipeline/test_classify_folds.py",
    "evaluation/classification/predicted_images.py": "pipeline/test_classify.py",
    "evaluation/classification/result_files.py": "panels/test_roc.py",
    "evaluation/classification/roc_bands.py": "panels/test_roc.py",
    "evaluation/localization/result_files.py": "test_cli.py",
    "evaluation/measurement.py": "evaluation/localization/test_measure.py",
    "evaluation/run_comparison.py": "pipeline/test_compare.py",
    "evaluation/trust/cases.py": "pipeline/test_trust.py",
    "evaluation/trust/map_tests.py": "pipeline/test_trust.py",
    "training/trained_card.py": "pipeline/test_train.py",
    # The encodings of tables are tested by reading tables.
    "files/encodings.py": "files/test_tables.py",
    "files/setting_difference.py": "training/test_fit.py",
    # Parts of one step that have no meaning alone are tested with the step.
    "dicom_objects/codes.py": "dicom_objects/test_objects.py",
    "dicom_objects/secondary_capture.py": "dicom_objects/test_objects.py",
    "dicom_objects/stamp.py": "dicom_objects/test_objects.py",
    "evaluation/localization/map_metrics.py": "evaluation/localization/test_metrics.py",
    "images/codestreams.py": "images/test_dicom_pixels.py",
    "images/decoding.py": "images/test_dicom_pixels.py",
    "images/dicom_bits.py": "images/test_dicom_pixel_description.py",
    "images/dicom_header.py": "images/test_dicom.py",
    "images/dicom_luts.py": "images/test_dicom_rendering.py",
    "images/dicom_values.py": "images/test_dicom_file.py",
    "images/normalised.py": "images/test_preprocessing.py",
    "images/study.py": "images/test_dicom.py",
    "inference/batches.py": "inference/test_predict.py",
    "inference/watched.py": "inference/test_suitability.py",
    "localization/gradcam_package.py": "localization/test_heatmaps.py",
    "models/card_text.py": "models/test_hub.py",
    "models/adopted_network.py": "models/test_adopt.py",
    "models/classifiers.py": "models/test_adopt.py",
    "models/described.py": "models/test_context.py",
    "models/heads.py": "models/test_localizer.py",
    "models/metadata.py": "models/test_weights.py",
    "models/transformers_names.py": "models/test_hub.py",
    "models/weight_names.py": "models/test_adopt.py",
    "pacs/bounded_server.py": "pacs/test_receive.py",
    "pacs/judged.py": "pacs/test_send.py",
    "pacs/studies.py": "pacs/test_node.py",
    "pacs/web_store.py": "pacs/test_send.py",
}
"""Modules that no test of their room names, and the file that tests them."""

WHOLE_ROOMS = ("panels", "phantom", "report_page")
"""Rooms whose modules draw parts of one picture or page, which is tested as a whole."""


def _room(path: Path, root: Path) -> Path:
    return path.relative_to(root).parent


def _named_for(test: Path, name: str) -> bool:
    stem = test.stem.removeprefix("test_")
    return stem == name or stem.startswith(f"{name}_")


def _imports(test: Path, module: Path) -> bool:
    room = ".".join(("cxrloc", *_room(module, PACKAGE).parts))
    text = test.read_text(encoding="utf-8")
    name = re.escape(module.stem)
    return bool(re.search(rf"\b{re.escape(room)}(\.{name}\b| import .*\b{name}\b)", text))


def _is_tested(module: Path) -> bool:
    room, place = _room(module, PACKAGE), str(module.relative_to(PACKAGE))
    if place in TESTED_ELSEWHERE:
        return (HERE / TESTED_ELSEWHERE[place]).is_file()
    if room.parts and room.parts[0] in (*TESTED_BY_COMMANDS, *WHOLE_ROOMS):
        return True
    own = [test for test in TESTS if _room(test, HERE) == room]
    return any(_named_for(test, module.stem) or _imports(test, module) for test in own)


def _is_named_for_something(test: Path) -> bool:
    room = _room(test, HERE)
    if room.parts and room.parts[0] in OF_SEVERAL_ROOMS:
        return True
    modules = [path.stem for path in MODULES if _room(path, PACKAGE) == room]
    rooms = [path.name for path in (PACKAGE / room).iterdir() if path.is_dir()]
    known = [*modules, *rooms, *room.parts[-1:], *(() if room.parts else CONTRACTS)]
    return any(_named_for(test, name) for name in known)


def test_every_module_has_a_test_where_a_newcomer_looks() -> None:
    untested = [str(path.relative_to(PACKAGE)) for path in MODULES if not _is_tested(path)]
    assert not untested, (
        f"write tests/ROOM/test_MODULE.py for {untested}, or name in TESTED_ELSEWHERE what tests it"
    )


def test_every_file_of_tests_is_named_for_what_it_tests() -> None:
    unnamed = [str(path.relative_to(HERE)) for path in TESTS if not _is_named_for_something(path)]
    assert not unnamed, f"rename {unnamed}: test_MODULE.py or test_MODULE_WHAT.py of the same room"


def test_no_exception_is_for_a_module_that_is_gone() -> None:
    assert [place for place in TESTED_ELSEWHERE if not (PACKAGE / place).is_file()] == []
