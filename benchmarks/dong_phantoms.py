"""Phantoms on which Dong's recipes train as they are: `python benchmarks/dong_phantoms.py OUT`.

The 16,569 images of Dong et al. 2017 were never published, and the ten largest clusters of
diagnoses in Open-i all describe normal chests. This script writes phantoms in the layout of Open-i:
images, one report per image in `ecgen-radiology`, and `labels.csv` with the ten labels of table I.
The phantoms show three of these labels (No Finding, increased heart shadow, Effusion). The other
seven are negative everywhere, and `train` warns about them. Then:

    cxrloc train dong2017_single_vgg16 --data OUT --labels OUT/labels.csv --start scratch
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image

from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.recipe import read_recipe
from cxrloc.types import Label

CALLED = {"Cardiomegaly": "increased heart shadow", "Effusion": "Effusion"}
"""Maps findings of phantoms to labels of table I."""

REPORT = (
    '<eCitation><uId id="{report}"/><MedlineCitation><Article><Abstract>'
    '<AbstractText Label="IMPRESSION">{diagnosis}.</AbstractText>'
    '</Abstract></Article></MedlineCitation><parentImage id="{image}"/></eCitation>\n'
)


def write_dong_phantoms(folder: Path, n: int, seed: int, size: int) -> None:
    """Write n phantoms that have only findings of table I."""
    labels = read_recipe("dong2017_single_vgg16").network.findings
    (folder / "ecgen-radiology").mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["report_id", *labels])
        index = written = 0
        while written < n:
            record = phantom_record(plan_phantom(seed, index), size)
            index += 1
            present = [f for f, label in record.labels.items() if label is Label.POSITIVE]
            # A third of the phantoms has no finding, a third has an effusion, and a third has an
            # enlarged heart; a phantom of the last two kinds may have both findings.
            wanted = ([], ["Effusion"], ["Cardiomegaly"])[written % 3]
            if not set(wanted) <= set(present) <= (CALLED.keys() if wanted else set()):
                continue
            phantom = make_phantom(seed, index - 1, size)
            said = [CALLED[finding] for finding in present] or ["No Finding"]
            report, image = f"CXR{written}", f"CXR{written}_IM-1"
            grey = np.rint(phantom.pixels * 255).astype(np.uint8)
            Image.fromarray(grey).save(folder / f"{image}.png")
            text = REPORT.format(report=report, image=image, diagnosis=", ".join(said))
            (folder / "ecgen-radiology" / f"{written}.xml").write_text(text, encoding="utf-8")
            table.writerow([report, *(int(label in said) for label in labels)])
            written += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--seed", type=int, default=51)
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    write_dong_phantoms(options.out, options.n, options.seed, options.size)
