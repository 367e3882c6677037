"""Small results of every command, as the panels read them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from cxrloc.inference.map_files import write_maps
from cxrloc.reports.label_file import EXPLANATION_COLUMNS
from cxrloc.types import Affine, Heatmaps

FINDINGS = ("Mass", "Pleural_Thickening", "Hernia")
"""Of the tables."""

MAPPED = ("Mass", "Nodule", "Hernia")
"""Of the maps."""

SIDE = 40
REPORT = "Findings: there is a mass. No nodule."
ROWS = "run boxes.csv images maps said.csv reports.csv"
"""What rows of radiographs are drawn from."""

CLEAR = {
    "words": ["clear", "of", "disease", "or", "effusion"],
    "edges": [[0, "prep_of", 2], [0, "prep_of", 4], [2, "conj_or", 4]],
    "mentions": [[2, 2], [4, 4]],
}
"""A sentence whose two mentions one rule denies."""


def write_tables(folder: Path) -> None:
    """Tables of every command in one folder: Hernia has no AUC, and nobody has it alone."""
    folder.mkdir()
    areas = {"Mass": (0.9, 0.8, 0.95), "Pleural_Thickening": (0.7, 0.6, 0.8)}
    areas |= {"Hernia": (np.nan,) * 3, "mean": (0.8, 0.7, 0.9)}
    rate = (0.0, 0.5, 1.0)
    truths = [(t, c, 0 if t == "Hernia" else 3 * (t == c) + 1) for t in FINDINGS for c in FINDINGS]
    scores = [
        (f, c, t, 4, 1 - t, 0.8 - t, 1.0, 0.3 + t)
        for f in (*FINDINGS, "mean")
        for c in ("iobb", "iou")
        for t in (0.1, 0.5)
    ]
    names = ["finding", "criterion", "threshold", "annotated"]
    names += ["accuracy", "accuracy_low", "accuracy_high", "afp"]
    said = [("1", 1, 1, ""), ("2", 1, "", ""), ("3", "", 1, 0)]
    clauses = [(1, "clear lungs", 9, "clear lungs", 7), (1, "clear lungs", 9, "lungs clear", 2)]
    clauses += [(2, "a large heart", 1, "a large heart", 1)]
    trusted = [
        (test, subject, value, value - 0.1, value + 0.1)
        for test in ("insertion", "deletion", "road")
        for subject, value in (("model", 0.6), ("random map", 0.3))
    ]
    trusted += [
        ("random map", "random map", 0.1, np.nan, np.nan),
        ("weight randomisation", "prediction", 0.5, 0.4, 0.6),
        ("label randomisation", "other model", 0.2, 0.1, 0.3),
        ("repeatability", "second model", 0.7, 0.6, 0.8),
        ("map under disturbance", "noise", 0.9, 0.8, 1.0),
        ("probability under disturbance", "noise", 0.05, 0.0, 0.1),
    ]
    tables = {
        "auc": [(f, "all", *values) for f, values in areas.items()],
        "roc": [("Mass", x, x**0.5) for x in rate],
        "single_findings": truths,
        "image_precision": [("a", 1, 0.5), ("b", 2, 0.5), ("c", 2, 1.0)],
        "rank_correlations": [("one run", 1.0, 0.4), ("another run", 0.4, 1.0)],
        "localization": scores,
        "controls": [("permuted", *row) for row in scores],
        "metrics": [
            (f, "froc_sensitivity", at, 0.4, 0.3, 0.5) for f in FINDINGS for at in (0.125, 8)
        ],
        "labels": said,
        "labels_clusters": clauses,
        "lr_range": [(10.0**k, loss, loss) for k, loss in enumerate((4.0, 4.0, 3.0, 2.0, 3.0))],
        "trust": trusted,
        "trust_curves": [
            (test, subject, share, 0.2 + slope * share)
            for test in ("insertion", "deletion")
            for subject, slope in (("model", 0.5), ("random map", 0.1))
            for share in (0.0, 1.0)
        ],
    }
    columns = {
        "auc": ["finding", "group", "auc", "auc_low", "auc_high"],
        "roc": ["finding", "false_positive_rate", "sensitivity"],
        "single_findings": ["finding", "called", "units"],
        "image_precision": ["unit", "findings", "image_ranking_precision"],
        "rank_correlations": ["run", "one run", "another run"],
        "localization": names,
        "controls": ["control", *names],
        "metrics": ["finding", "metric", "at", "value", "low", "high"],
        "labels": ["report_id", *FINDINGS],
        "labels_clusters": ["cluster", "medoid", "reports", "clause", "count"],
        "lr_range": ["learning_rate", "loss", "smoothed"],
        "trust": ["test", "subject", "value", "low", "high"],
        "trust_curves": ["test", "subject", "share", "probability"],
    }
    for name, rows in tables.items():
        frame = pd.DataFrame(rows, columns=pd.Index(columns[name]))
        frame.to_csv(folder / f"{name}.csv", index=False)
    (folder / "train").mkdir()
    (folder / "train/metrics.csv").write_text("step,learning_rate,loss,mean_auc\n10,0.1,0.5,0.8\n")
    data = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"
    )
    rows = [
        f"{i}.png,Mass,0,{i},{age},{sex},PA" for i, (age, sex) in enumerate(((21, "F"), (22, "M")))
    ]
    (folder / "data").mkdir()
    (folder / "data/Data_Entry_2017.csv").write_text("\n".join([data, *rows, ""]))
    (folder / "sentences.json").write_text(json.dumps([CLEAR]))
    tree = {"image": ["a"], "Lung Opacity": [0.8], "Consolidation": [0.4], "Pneumonia": [0.1]}
    pd.DataFrame(tree).to_csv(folder / "probabilities.csv", index=False)
    (folder / "run.json").write_text(json.dumps({"products_along_tree": True}))


def write_images(folder: Path) -> None:
    """Two images with boxes, a run with a hit and 30 misses, maps, probabilities and reports."""
    for name in ("images", "run", "maps", "scores"):
        (folder / name).mkdir()
    for name, rows in (("a", SIDE), ("b", 2 * SIDE)):
        pixels = np.full((rows, SIDE), 128, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
        maps = np.zeros((3, 5, 5))
        maps[:, 1, 1] = 1.0
        to_image = Affine(xx=SIDE / 5, yy=rows / 5)
        probabilities = np.array([0.9, 0.5, 0.1])
        heatmaps = Heatmaps(name, MAPPED, maps, to_image, rows, SIDE)
        write_maps(probabilities, heatmaps, folder / "maps" / f"{name}.npz")
    columns = ["image", "finding", "x_min", "y_min", "x_max", "y_max"]
    boxes = [("images/a.png", "Mass", 5, 5, 20, 20), ("images/b.png", "Nodule", 30, 9, 33, 12)]
    pd.DataFrame(boxes, columns=columns).to_csv(folder / "boxes.csv", index=False)
    claims = [("a", "Mass", 6, 6, 20, 20, 180, 0.9)]
    claims += [("a", "Mass", 25, 1 + i / 4, 39, 30 + i / 4, 60, 0.5) for i in range(30)]
    detections = pd.DataFrame(claims, columns=[*columns, "threshold", "score"])
    detections.to_csv(folder / "run" / "detections.csv", index=False)
    (folder / "run" / "localization.csv").write_text("finding,criterion,threshold\n")
    rules = [{"criterion": "iobb", "threshold": t} for t in (0.1, 0.5)]
    (folder / "run" / "run.json").write_text(json.dumps({"protocol": {"rules": rules}}))
    scores = pd.DataFrame([("a", 0.9, 0.5, 0.1)], columns=["image", *MAPPED])
    scores.to_csv(folder / "scores" / "probabilities.csv", index=False)
    pd.DataFrame([("a", REPORT)], columns=["report_id", "text"]).to_csv(
        folder / "reports.csv", index=False
    )
    said = [
        ("a", "Mass", "mass", 1, "mass", "mentioned", 11, 15, "there is a mass."),
        ("a", "Nodule", "nodule", 0, "nodule", "negated after: no", 3, 9, "No nodule."),
    ]
    pd.DataFrame(said, columns=EXPLANATION_COLUMNS).to_csv(folder / "said.csv", index=False)
    pd.DataFrame([("b", 10.0, 30.0)], columns=["image", "x", "y"]).to_csv(
        folder / "arrows.csv", index=False
    )
