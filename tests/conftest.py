"""Fixtures for every room."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from cxrloc.memory import keep_freed_memory

# Each worker of pytest-xdist has one core. More threads would wait for each other on the others'
# cores. This comes before torch is imported, which reads it once.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Every call in a module whose annotations name the shapes of arrays is checked against them. Other
# modules have no shapes to check, and checking their calls would double the time of their tests.
# This comes before cxrloc is imported.
ROOT = Path(__file__).parents[1]
SHAPED = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted(ROOT.glob("cxrloc/**/*.py"))
    if "from jaxtyping import" in path.read_text("utf-8")
]
install_import_hook(SHAPED, "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

keep_freed_memory()  # as the command line does

# Drawn examples check formulas, which nearly every example would show to be wrong. A deadline would
# fail tests on a busy machine.
settings.register_profile("cxrloc", max_examples=30, deadline=None)
settings.load_profile("cxrloc")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real radiographs, boxes, DICOM files and weights beside the checkout; never part of it."""
    folder = Path(__file__).parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs the folder of real data, shared/, beside the checkout")
    return folder


@pytest.fixture(scope="session")
def untrained_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint with random weights: for tests of what surrounds a model."""
    import torch

    from cxrloc.findings import CHESTXRAY8
    from cxrloc.images.preprocessing import Preprocessing
    from cxrloc.models.card import ModelCard
    from cxrloc.models.localizer import Localizer, LocalizerConfig
    from cxrloc.models.weights import write_model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Localizer(LocalizerConfig("small_resnet", CHESTXRAY8, transition_channels=16))
    card = ModelCard(
        name="untrained",
        trained_on="nothing",
        findings=CHESTXRAY8,
        views=("PA", "AP"),
        operating_points=dict.fromkeys(CHESTXRAY8, 0.5),
        limits="For tests only.",
    )
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    write_model(path, network, Preprocessing(size=128, source_size=None), card)
    return path


@pytest.fixture(scope="session")
def ray_started() -> Iterator[None]:
    """Ray on two processors, which starts once for all tests of this process."""
    ray = pytest.importorskip("ray")
    # Ray's processes run at the lowest priority unless told; beside other tests they would starve.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  Ray spells it so
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def without_roc_figure() -> Iterator[None]:
    """`classify` draws no ROC figure, which would take most of its time; `test_roc` looks at it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxrloc.pipeline.classify.write_roc", lambda *_: None)
        yield
