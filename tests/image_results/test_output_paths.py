from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrloc.errors import UsageError
from cxrloc.files.run_folder import MARK, make_folder
from cxrloc.image_results.output_paths import plan_outputs


def png(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(path, format="PNG")
    return path


def test_sub_folders_are_mirrored_and_only_known_suffixes_cut(tmp_path: Path) -> None:
    png(tmp_path / "in/a/chest.png")
    png(tmp_path / "in/b/1.2.840.113619.2")
    planned = plan_outputs([tmp_path / "in"], tmp_path / "out")
    assert list(planned.values()) == [Path("a/chest"), Path("b/1.2.840.113619.2")]


def test_of_two_images_for_one_name_the_second_gets_a_number_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = [png(tmp_path / name / "chest.png") for name in "abc"]
    planned = plan_outputs(images, tmp_path / "out")
    assert [str(stem) for stem in planned.values()] == ["chest", "chest-2", "chest-3"]
    first, second, _ = images
    message = f"{second}: its results are named chest-2, since those of {first} have its name"
    assert message in caplog.text


def test_an_image_that_is_named_twice_is_one_image(tmp_path: Path) -> None:
    image = png(tmp_path / "chest.png")
    assert list(plan_outputs([image, tmp_path], tmp_path / "out")) == [image]


def test_a_name_without_room_for_an_ending_is_cut_and_stays_its_own(tmp_path: Path) -> None:
    long = [tmp_path / ("ä" * 120 + end) for end in ("a.dcm", "b.dcm")]
    first, second = (stem.name for stem in plan_outputs(long, tmp_path / "out").values())
    assert first != second
    for name in (first, second):
        assert len(name.encode()) <= 230
        assert name.startswith("ä" * 100 + "-")


def test_a_missing_file_is_planned_so_that_reading_it_can_fail_by_name(tmp_path: Path) -> None:
    assert plan_outputs([tmp_path / "no.dcm"], tmp_path / "out") == {
        tmp_path / "no.dcm": Path("no")
    }


def test_a_folder_without_images_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no DICOM, PNG or JPEG file"):
        plan_outputs([tmp_path], tmp_path / "out")


def test_a_result_never_replaces_an_image(tmp_path: Path) -> None:
    image = png(tmp_path / "chest.png")
    with pytest.raises(UsageError, match="would be replaced"):
        plan_outputs([image], tmp_path)


def test_earlier_pictures_below_the_searched_folder_are_no_inputs(tmp_path: Path) -> None:
    image, _ = png(tmp_path / "chest.png"), png(tmp_path / "out/chest.png")
    assert list(plan_outputs([tmp_path], tmp_path / "out")) == [image]


def test_results_of_other_runs_are_no_inputs(tmp_path: Path) -> None:
    image, _ = png(tmp_path / "chest.png"), png(tmp_path / "cxrloc-heatmap/sub/chest.png")
    (tmp_path / "cxrloc-heatmap" / MARK).touch()
    assert list(plan_outputs([tmp_path], tmp_path / "out")) == [image]


def test_an_output_folder_that_cannot_be_made_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--out"):
        make_folder(tmp_path / "file" / "out")


def test_links_that_point_at_each_other_are_planned_like_any_image_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    png(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "c.png")
    (tmp_path / "c.png").symlink_to(tmp_path / "b.png")
    planned = plan_outputs([tmp_path], tmp_path / "out")
    assert [str(stem) for stem in planned.values()] == ["a", "b", "c"]
