"""A notebook that goes through the Python interface: `python figures/first_steps.py` writes it.

The cells are those of this file, so that the notebook can be read as a diff and run by a test.
"""

import json
from pathlib import Path

NOTEBOOK = Path(__file__).with_suffix(".ipynb")

CELLS = (
    """# First steps with cxrloc

From an image file to boxes and their scores, on a small set of synthetic radiographs.
Research only: nothing here may guide the care of a patient.""",
    """
import cxrloc

data = "chests"  # a folder in a published layout: here written by `cxrloc phantom chests --n 12`
records = cxrloc.read_dataset(data)
model = cxrloc.read_model("phantom-v1")  # the default model, nih-small-v4, is for real radiographs
len(records), model.card.findings
""",
    """One radiograph. A notebook shows what `plot()` returns, and `save("a.png")` writes it.""",
    """
record = next(r for r in records if r.annotations and r.path is not None)
radiograph = cxrloc.read_radiograph(record.path)
radiograph.plot(record.annotations)
""",
    """Its heatmaps, and the boxes that they give at two thresholds.""",
    """
found = cxrloc.localize_radiograph(model, radiograph, record.image_id)
found
""",
    """
boxes = cxrloc.detections_from_heatmaps(found.heatmaps, found.probabilities, [60, 180])
boxes.table().head()
""",
    """
boxes.plot(radiograph)
""",
    """The scores of all images with boxes, beside the controls without which they say little.""",
    """
scored, heatmaps, detections = [], [], []
for record in records:
    if not record.annotations or record.path is None:
        continue
    radiograph = cxrloc.read_radiograph(record.path)
    scored.append(cxrloc.annotations_in_image(record, *radiograph.pixels.shape))
    found = cxrloc.localize_radiograph(model, radiograph, record.image_id)
    heatmaps.append(found.heatmaps)
    detections += cxrloc.detections_from_heatmaps(found.heatmaps, found.probabilities, [60, 180])
scores = cxrloc.score_localization(scored, detections, cxrloc.ScoringProtocol(), heatmaps)
scores.plot()
""",
    """
print(scores.to_latex())
""",
    """Image-level scores, with all files that `cxrloc classify` writes.""",
    """
result = cxrloc.classify(data, "classified", cxrloc.ClassifyOptions(models=("phantom-v1",)))
result.report.plot()
""",
)
"""Text, and code, which begins with an empty line."""


def notebook() -> str:
    """The notebook as JSON, in format 4.5 of Jupyter."""
    cells = []
    for number, text in enumerate(CELLS):
        cell = {"cell_type": "markdown", "id": f"cell-{number}", "metadata": {}}
        if text.startswith("\n"):
            cell |= {"cell_type": "code", "execution_count": None, "outputs": []}
        cells.append({**cell, "source": text.strip().splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook(), encoding="utf-8")
