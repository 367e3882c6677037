import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrloc.datasets.splits import (
    Parts,
    SplitConfig,
    draw_patients,
    split_records,
    split_sha256,
)
from cxrloc.errors import CxrlocError
from cxrloc.types import Record

PATIENTS = [str(number) for number in range(2000)]


@given(st.lists(st.sampled_from(PATIENTS)), st.integers(0, 9))
def test_a_patient_is_drawn_whoever_else_is_there(present: list[str], seed: int) -> None:
    of_all = draw_patients(PATIENTS, 0.4, seed)
    assert draw_patients(present, 0.4, seed) == of_all & set(present)


def test_the_share_is_about_what_was_asked_for_and_grows_with_it() -> None:
    fifth, half = (draw_patients(PATIENTS, share, seed=0) for share in (0.2, 0.5))
    assert 360 < len(fifth) < 440
    assert fifth < half


def test_another_seed_draws_others() -> None:
    assert draw_patients(PATIENTS, 0.5, seed=0) != draw_patients(PATIENTS, 0.5, seed=1)


def records(patients: int = 400, images: int = 3) -> list[Record]:
    return [
        Record(f"{patient}_{image}", str(patient), f"{patient}_{image}", None)
        for patient in range(patients)
        for image in range(images)
    ]


RECORDS = records()


def patients_of(part: list[Record]) -> set[str]:
    return {record.patient_id for record in part}


@given(st.sampled_from(["ratios", "resamplings"]), st.integers(0, 5), st.integers(0, 3))
def test_parts_share_no_patient_and_lose_no_image(kind: str, fold: int, seed: int) -> None:
    parts = split_records(RECORDS, SplitConfig(kind, fold=fold, seed=seed))
    train, validation, test = map(patients_of, parts[:3])
    assert not train & validation
    assert not (train | validation) & test
    assert sum(map(len, parts[:3])) == len(RECORDS)
    assert 0.62 < len(parts.train) / len(RECORDS) < 0.78


def test_folds_of_ratios_are_a_cross_validation_and_keep_the_test_part() -> None:
    ratios = (0.6, 0.2, 0.2)  # a quarter of training and validation: four folds
    folds = [split_records(RECORDS, SplitConfig("ratios", ratios, fold)) for fold in range(4)]
    assert len({split_sha256(Parts([], [], parts.test)) for parts in folds}) == 1
    validated = [patients_of(parts.validation) for parts in folds]
    assert sum(map(len, validated)) == len(set.union(*validated))
    assert set.union(*validated) == patients_of([*folds[0].train, *folds[0].validation])


def test_shares_need_not_add_up_to_one() -> None:
    tenths, whole = (
        split_records(RECORDS, SplitConfig("ratios", ratios))
        for ratios in ((0.7, 0.1, 0.2), (7.0, 1.0, 2.0))
    )
    assert split_sha256(tenths) == split_sha256(whole)


def test_resamplings_draw_every_part_anew() -> None:
    a, b = (split_records(RECORDS, SplitConfig("resamplings", fold=fold)) for fold in (0, 1))
    assert 0 < len(patients_of(a.test) & patients_of(b.test)) < len(patients_of(a.test)) / 2


def test_an_official_list_is_kept_and_validation_is_drawn_from_its_training_part() -> None:
    official = {r.image_id: "test" if int(r.patient_id) < 100 else "train" for r in RECORDS}
    parts = split_records(RECORDS, SplitConfig("official"), official)
    assert patients_of(parts.test) == {str(number) for number in range(100)}
    assert 0.06 < len(parts.validation) / 900 < 0.19
    three = official | {r.image_id: "validation" for r in RECORDS if int(r.patient_id) > 350}
    parts = split_records(RECORDS, SplitConfig("official"), three)
    assert patients_of(parts.validation) == {str(number) for number in range(351, 400)}


def test_an_image_that_no_official_list_names_is_in_no_part() -> None:
    official = {r.image_id: "train" for r in RECORDS if r.patient_id != "7"}
    parts = split_records(RECORDS, SplitConfig("official"), official)
    assert sum(map(len, parts[:3])) == len(RECORDS) - 3
    with pytest.raises(CxrlocError, match="has no official split"):
        split_records(RECORDS, SplitConfig("official"))


def test_an_official_list_that_shares_a_patient_is_an_error() -> None:
    official = {record.image_id: "train" for record in RECORDS} | {"7_0": "test"}
    config = SplitConfig("official", ratios=(1.0, 0.0, 0.0))
    with pytest.raises(CxrlocError, match="patient 7 is in train and in test"):
        split_records(RECORDS, config, official)


def test_a_split_by_image_shares_patients_and_says_so() -> None:
    parts = split_records(RECORDS, SplitConfig("image"))
    assert parts.leaking
    assert patients_of(parts.train) & patients_of(parts.test)


@pytest.mark.parametrize("kind", ["official", "ratios", "resamplings", "image"])
def test_some_patients_are_always_in_the_test_part(kind: str) -> None:
    official = {record.image_id: "train" for record in RECORDS}
    parts = split_records(RECORDS, SplitConfig(kind), official, always_test=["5", "6"])
    assert not {"5", "6"} & patients_of([*parts.train, *parts.validation])


def test_a_split_has_a_hash_of_its_own() -> None:
    same, other = SplitConfig("ratios"), SplitConfig("ratios", seed=1)
    hashes = [split_sha256(split_records(RECORDS, config)) for config in (same, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert split_sha256(split_records(RECORDS[::-1], same)) == hashes[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "random"}, "choose one of official, ratios, resamplings, image"),
        ({"ratios": (0.5, 0.5)}, "three shares"),
        ({"ratios": (0.0, 0.5, 0.5)}, "of training above 0"),
        ({"fold": -1}, "fold -1 of 0: they are numbered from 0"),
        ({"folds": 5, "fold": 5}, "fold 5 of 5: they are numbered from 0"),
        ({"kind": "ratios", "ratios": (0.6, 0.2, 0.2), "folds": 5}, "5 folds .* 25% .* overlap"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(CxrlocError, match=message):
        SplitConfig(**wrong)


def test_resamplings_draw_the_validation_part_anew_in_every_fold() -> None:
    parts = [split_records(records(), SplitConfig("resamplings", fold=fold)) for fold in (0, 1)]
    tested = {r.patient_id for part in parts for r in part.test}
    first, second = ({r.patient_id for r in part.validation} - tested for part in parts)
    assert first
    assert len(first & second) < len(first) / 2  # drawn alike, all of them would be in both
