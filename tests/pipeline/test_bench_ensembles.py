"""Different networks as one ensemble: mean probabilities, and mean maps in original pixels."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from PIL import Image
from scipy.ndimage import map_coordinates

from cxrloc.datasets import read_dataset
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.tables import grid, rows_of
from cxrloc.evaluation.resampling import Resampling
from cxrloc.files.run_folder import Destination
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.map_files import Probabilities, read_maps
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.models.card import ModelCard
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.weights import write_model
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.bench import BenchOptions, bench
from cxrloc.pipeline.heatmap import HeatmapOptions, heatmap
from cxrloc.types import Heatmaps

FINDINGS = ("Effusion", "Mass", "Nodule", "Cardiomegaly")
INFERENCE = InferenceSettings(device="cpu", batch_size=4)
BUILDS = {
    "small_resnet": (LocalizerConfig("small_resnet", FINDINGS, output_stride=8), 48),
    "densenet121": (LocalizerConfig("densenet121", FINDINGS, transition_channels=0), 96),
    # Another order of the findings, and one that the others do not know.
    "xception": (LocalizerConfig("xception", ("Hernia", *FINDINGS[::-1])), 128),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of untrained networks, by backbone."""
    folder = tmp_path_factory.mktemp("models")
    files = {}
    for name, (config, size) in BUILDS.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = Localizer(config)
        files[name] = str(folder / f"{name}.safetensors")
        card = ModelCard(name, "nothing", config.findings, ("PA", "AP"))
        write_model(Path(files[name]), network, Preprocessing(size=size, source_size=None), card)
    return files


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "chests"
    write_phantoms(folder, 12, seed=8, size=64)
    return folder


def localized(image: Path, models: list[str], out: Path) -> tuple[Probabilities, Heatmaps, dict]:
    """Probabilities, raw maps and report of an image, as `heatmap` writes them."""
    options = HeatmapOptions(tuple(models), write=("npz", "json"), inference=INFERENCE)
    assert len(list(heatmap([image], Destination(out, overwrite=True), options))) == 1
    report = json.loads((out / f"{image.stem}.json").read_text())
    return *read_maps(out / f"{image.stem}.npz", image.stem), report


def at(
    heatmaps: Heatmaps,
    finding: str,
    x: Float[np.ndarray, "row col"],
    y: Float[np.ndarray, "row col"],
) -> Float[np.ndarray, "row col"]:
    """One model's map of a finding, scaled to its extremes and read at original pixels (x, y)."""
    scores = heatmaps.scores[heatmaps.findings.index(finding)].astype(float)
    scaled = (scores - scores.min()) / (scores.max() - scores.min())
    to = heatmaps.to_image
    assert (to.xy, to.yx) == (0, 0)
    rows, columns = (y - to.y0) / to.yy - 0.5, (x - to.x0) / to.xx - 0.5
    return map_coordinates(scaled, [rows, columns], order=1, mode="nearest")


def test_probabilities_and_maps_in_original_pixels_are_the_means_over_the_networks(
    models: dict[str, str], tmp_path: Path
) -> None:
    image = tmp_path / "chest.png"  # neither square nor of any network's size
    grey = np.random.default_rng(0).integers(0, 255, (150, 110), dtype=np.uint8)
    Image.fromarray(grey).save(image)
    alone = [localized(image, [file], tmp_path / name) for name, file in models.items()]
    assert len({own.scores.shape[1:] for _, own, _ in alone}) == 3  # as many grids
    probabilities, together, report = localized(image, [*models.values()], tmp_path / "together")
    assert together.findings == FINDINGS
    assert report["model"]["name"] == "small_resnet + densenet121 + xception"
    y, x = np.indices(together.scores.shape[1:]) + 0.5
    to = together.to_image
    x, y = to.xx * x + to.x0, to.yy * y + to.y0
    for column, finding in enumerate(FINDINGS):
        of_each = [p[own.findings.index(finding)] for p, own, _ in alone]
        assert probabilities[column] == pytest.approx(np.mean(of_each), abs=1e-6)
        expected = np.mean([at(own, finding, x, y) for _, own, _ in alone], axis=0)
        np.testing.assert_allclose(together.scores[column], expected, atol=1e-4)


@pytest.mark.slow
def test_bench_scores_the_ensembles_maps(
    models: dict[str, str], chests: Path, tmp_path: Path
) -> None:
    """Scored at once and scored from the maps that `heatmap` wrote, in another order of models."""
    files = [*models.values()]
    images = [r.path for r in read_dataset(chests) if r.annotations and r.path is not None]
    assert images
    options = HeatmapOptions(tuple(files[::-1]), write=("npz", "json"), inference=INFERENCE)
    assert len(list(heatmap(images, Destination(tmp_path / "maps"), options))) == len(images)
    protocol = ScoringProtocol(resampling=Resampling(0), draws=1)
    at_once = bench(
        chests, tmp_path / "a", BenchOptions(tuple(files), protocol=protocol, inference=INFERENCE)
    )
    of_maps = bench(
        chests, tmp_path / "b", BenchOptions((), maps=tmp_path / "maps", protocol=protocol)
    )
    assert at_once.scores.findings == of_maps.scores.findings
    assert at_once.scores.detections == of_maps.scores.detections
    hits = [
        grid(rows_of(each.scores.measurements), "accuracy", "numerator")
        for each in (at_once, of_maps)
    ]
    np.testing.assert_allclose(*hits)
