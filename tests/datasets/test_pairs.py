from pathlib import Path

import pytest

from cxrloc.datasets.pairs import PAIRINGS, pairs_by_study, read_pairs
from cxrloc.errors import CxrlocError
from cxrloc.types import Record, View


def record(image_id, view, study="s", patient="1", folder="images"):
    return Record(image_id, patient, study, Path(folder) / f"{image_id}.png", view)


def names(pairs):
    return [(pair.frontal.image_id, pair.lateral.image_id) for pair in pairs]


STUDY = [
    record("p1", View.PA),
    record("l1", View.LATERAL),
    record("a1", View.AP),
    record("l2", View.LATERAL),
]


@pytest.mark.parametrize(
    ("pairing", "expected"),
    [
        ("first", [("p1", "l1")]),
        ("last", [("a1", "l2")]),
        ("each", [("p1", "l1"), ("a1", "l1")]),
    ],
)
def test_a_study_with_several_images_of_a_view(pairing, expected):
    assert names(pairs_by_study(STUDY, pairing)) == expected
    assert len(PAIRINGS) == 3


def test_a_dualnet_for_ap_pairs_the_ap_image():
    assert names(pairs_by_study(STUDY, frontal_views=[View.AP])) == [("a1", "l1")]


def test_studies_of_two_patients_do_not_mix_even_with_one_name():
    both = [record("p", View.PA, patient="1"), record("l", View.LATERAL, patient="2")]
    assert pairs_by_study(both) == []


def test_a_view_that_is_unknown_gives_no_pair():
    assert pairs_by_study([record("x", None), record("l", View.LATERAL)]) == []


def write(path, *rows):
    path.write_text("\n".join(("frontal,lateral", *rows)) + "\n")
    return path


def test_a_csv_names_images_by_id_or_file(tmp_path):
    """Views are what the file says: an image of unknown view can be paired."""
    records = [record("x", None), record("l1", View.LATERAL)]
    path = write(tmp_path / "pairs.csv", "x.png,l1")
    assert names(read_pairs(path, records)) == [("x", "l1")]


def test_a_lateral_image_that_the_data_do_not_list_is_named_by_its_path(tmp_path):
    (tmp_path / "side").mkdir()
    (tmp_path / "side" / "l.png").touch()
    ((frontal, lateral),) = read_pairs(
        write(tmp_path / "pairs.csv", "p1,side/l.png"), [record("p1", View.PA)]
    )
    assert (lateral.image_id, lateral.path) == ("l", tmp_path / "side" / "l.png")
    assert (lateral.view, lateral.patient_id) == (View.LATERAL, frontal.patient_id)


def test_a_listed_image_named_by_its_path_keeps_its_patient(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "l.png").touch()
    frontal = record("p", View.PA, folder=tmp_path / "images")
    path = write(tmp_path / "pairs.csv", "p,images/l.png")
    own, other = (record("l", View.LATERAL, patient=p, folder=tmp_path / "images") for p in "12")
    assert read_pairs(path, [frontal, own]) == [(frontal, own)]
    with pytest.raises(CxrlocError, match="two images are of different patients"):
        read_pairs(path, [frontal, other])


def test_links_that_point_at_each_other_are_another_image(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "l.png").touch()
    loop = tmp_path / "images" / "l.png"
    loop.symlink_to(loop)
    records = [record("p", View.PA), record("l", View.LATERAL, "2", folder=tmp_path / "images")]
    ((_, lateral),) = read_pairs(write(tmp_path / "pairs.csv", "p,./l.png"), records)
    assert lateral.path == tmp_path / "l.png"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["p1,zz"], r"row 2: 'zz' is no image of this data"),
        (["p1,l1", "p1,l2"], r"row 3: p1 is in an earlier pair"),
        (["p1," + "9" * 400], r"row 2: '9+' is no image of this data"),
        (["p1,other"], r"row 2: the two images are of different patients"),
        (["twice,l1"], r"row 2: 'twice' is 2 images: name its path"),
    ],
)
def test_a_row_that_is_no_pair_is_named(tmp_path, rows, message):
    more = [record("other", View.LATERAL, patient="2")]
    more += [record("twice", View.PA, folder=folder) for folder in ("a", "b")]
    with pytest.raises(CxrlocError, match=message):
        read_pairs(write(tmp_path / "pairs.csv", *rows), [*STUDY, *more])


def test_a_file_without_the_columns_is_refused(tmp_path):
    (tmp_path / "pairs.csv").write_text("pa,lateral\na,b\n")
    with pytest.raises(CxrlocError, match="no column frontal"):
        read_pairs(tmp_path / "pairs.csv", STUDY)
