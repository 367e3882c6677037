from hypothesis import given
from hypothesis import strategies as st

from cxrloc.datasets.splits import draw_patients

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
