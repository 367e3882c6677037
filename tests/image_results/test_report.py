"""Which findings of an image are shown."""

from cxrloc.image_results.report import boxed_findings, top_findings


def test_findings_above_their_operating_point_come_first_then_the_most_probable() -> None:
    findings = [
        {"finding": "Mass", "probability": 0.9, "above_operating_point": None},
        {"finding": "Edema", "probability": 0.8, "above_operating_point": False},
        {"finding": "Nodule", "probability": 0.1, "above_operating_point": True},
        {"finding": "Hernia", "probability": 0.7, "above_operating_point": None},
        {"finding": "Effusion", "probability": 0.3, "above_operating_point": True},
    ]
    shown = [row["finding"] for row in top_findings({"findings": findings}, 4)]
    assert shown == ["Effusion", "Nodule", "Mass", "Edema"]


def test_objects_have_boxes_of_all_findings_above_their_points_and_of_those_in_the_picture() -> (
    None
):
    above = [True, None, True, False]
    rows = [
        {"finding": name, "probability": 0.5 - place / 10, "above_operating_point": each}
        for place, (name, each) in enumerate(zip("abcd", above, strict=True))
    ]
    boxed = {top: boxed_findings({"findings": rows}, top) for top in (1, 3)}
    assert [row["finding"] for row in boxed[1]] == ["a", "c"]
    assert [row["finding"] for row in boxed[3]] == ["a", "c", "b"]
