from pathlib import Path

from cxrloc.datasets import label_origin, read_dataset
from cxrloc.types import Label
from tests.datasets.layout_files import touched

OPENI = """<eCitation><uId id="CXR7"/><MedlineCitation><Article><Abstract>
<AbstractText Label="FINDINGS">Small left effusion. No pneumothorax.</AbstractText>
</Abstract></Article></MedlineCitation>
<parentImage id="CXR7_IM-1_0001"/><parentImage id="CXR7_IM-1_0002"/></eCitation>"""


def test_openi_images_have_the_labels_of_their_report(tmp_path: Path) -> None:
    (tmp_path / "ecgen-radiology").mkdir()
    (tmp_path / "ecgen-radiology" / "7.xml").write_text(OPENI)
    image = touched(tmp_path / "NLMCXR_png" / "CXR7_IM-1_0001.png")
    first, second = read_dataset(tmp_path)
    assert (first.path, second.path) == (image, None)
    assert (first.patient_id, first.study_id) == ("CXR7", "CXR7")
    assert (
        first.labels
        == second.labels
        == {"Effusion": Label.POSITIVE, "Pneumothorax": Label.NEGATIVE}
    )
    assert label_origin(tmp_path).startswith("cxrloc label")
