import errno
import os
from pathlib import Path

import pytest

from cxrloc.datasets.image_files import (
    find_image_files,
    find_image_files_below,
    image_named,
    images_by_stem,
    is_file,
    named_or_new_id,
)
from cxrloc.errors import CxrlocError
from tests.datasets.layout_files import touched


def test_files_of_the_system_are_no_images(tmp_path: Path) -> None:
    image = touched(tmp_path / "images_001" / "a.png")
    for folder in ("images_001", "images_002"):
        for name in (".DS_Store", "Thumbs.db", "._a.png", "desktop.ini"):
            touched(tmp_path / folder / name)
    assert find_image_files_below([tmp_path]) == {"a": image}
    os.mkfifo(tmp_path / "images_001" / "pipe.png")
    assert find_image_files(tmp_path) == {"a": image}


def test_a_path_that_cannot_be_looked_at_is_an_error_and_not_a_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(PermissionError, match=r"a\.png"):
        is_file(tmp_path / "a.png")


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    image = touched(tmp_path / "real" / "a.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "loop").symlink_to(tmp_path / "data")
    found = find_image_files_below([tmp_path / "data"])
    assert {name: path.resolve() for name, path in found.items()} == {"a": image}


def test_two_files_of_one_id_are_an_error(tmp_path: Path) -> None:
    touched(tmp_path / "images" / "a.png")
    touched(tmp_path / "images" / "a.dcm")
    with pytest.raises(CxrlocError, match="are both image a"):
        find_image_files(tmp_path)


def test_a_name_may_have_more_folders_than_the_id_is_made_of() -> None:
    """CheXpert's tables name images by paths, and the images need not be on this disk."""
    images = images_by_stem({f"patient0000{k}_study1_view1_frontal": None for k in (1, 2)})
    path = "CheXpert-v1.0-small/valid/patient00002/study1/view1_frontal.jpg"
    assert image_named("row 2", path, images) == "patient00002_study1_view1_frontal"
    assert image_named("row 3", "valid/patient00003/study1/view1_frontal.jpg", images) is None
    assert image_named("row 4", "view1_frontal.jpg", images) is None


def test_images_that_are_not_there_keep_apart_by_their_folders() -> None:
    images = images_by_stem({"p1_frontal": None})
    assert named_or_new_id("row 2", "x/p1/frontal.jpg", images) == "p1_frontal"
    others = {named_or_new_id("row 3", f"x/p{k}/lateral.jpg", images) for k in (1, 2)}
    assert others == {"x_p1_lateral", "x_p2_lateral"}
