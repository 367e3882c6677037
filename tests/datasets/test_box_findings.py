import pytest

from cxrloc.datasets.box_findings import refuse_unknown_findings, warn_of_unknown_findings
from cxrloc.errors import CxrlocError
from cxrloc.types import Annotation, Box, Record


def test_a_box_of_a_finding_that_nobody_knows_is_an_error_with_its_row() -> None:
    box = Box(1, 2, 3, 4)
    known = [Record("a", "1", "a", None, annotations=(Annotation("a", "Mass", box),))]
    declared_box = Annotation("b", "Coin lesion", box, where="b.csv, row 3")
    records = [*known, Record("b", "2", "b", None, annotations=(declared_box,))]
    refuse_unknown_findings(records, ["coin_lesion"])
    with pytest.raises(CxrlocError, match=r"b\.csv, row 3: 'Coin lesion' is no known finding"):
        refuse_unknown_findings(records, ["Mass"])
    ((warning, images),) = warn_of_unknown_findings([*records, records[1]], ["Mass"]).items()
    assert "boxes of 'Coin lesion', which is no known finding" in warning
    assert images == 1
    assert warn_of_unknown_findings(records, ["coin_lesion"]) == {}
    none = Record("c", "3", "c", None, annotations=(Annotation("c", "No Finding", box),))
    with pytest.raises(CxrlocError, match="image c: a box of No Finding"):
        refuse_unknown_findings([none], [])
    with pytest.raises(CxrlocError, match="image c: a box of No Finding"):
        warn_of_unknown_findings([none], [])
