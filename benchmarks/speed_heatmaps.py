"""Maps of 14 findings against the bare forward pass, and against the grad-cam package.

    OMP_NUM_THREADS=1 python benchmarks/speed_heatmaps.py [--threads 1] [--backbone resnet50]

All see the same images. Ours run in turns: times are medians, ratios medians of each round's. The
package's GradCAM runs once per finding, with one target per image, timed once.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from cxrloc.findings import CHESTXRAY14
from cxrloc.localization.heatmaps import cam, grad_cam
from cxrloc.models.localizer import Localizer, LocalizerConfig


class Classifier(nn.Module):
    """The same network as the package wants it: logits only, and a layer to watch."""

    def __init__(self, network: Localizer) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.network(images)[0]


def package_grad_cam(model: Classifier, images: Tensor) -> None:
    """The peer: one map per image and finding."""
    explainer = GradCAM(model, [model.network.backbone])
    for column in range(len(CHESTXRAY14)):
        explainer(images, [ClassifierOutputTarget(column)] * len(images))


def bare_forward(network: Localizer, images: Tensor) -> None:
    """Logits only."""
    with torch.no_grad():
        network(images)


def milliseconds(function: Callable[..., object], network: nn.Module, images: Tensor) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    function(network, images)
    return (time.perf_counter() - start) * 1000


def row(network: Localizer, images: Tensor, rounds: int) -> str:
    """One line of the table: our contenders in turns, then the package once."""
    contenders = (bare_forward, cam, grad_cam)
    for contender in contenders:
        contender(network, images)  # warm up
    times = [[milliseconds(c, network, images) for c in contenders] for _ in range(rounds)]
    forward, ours, gradient = map(median, zip(*times, strict=True))
    peer = milliseconds(package_grad_cam, Classifier(network), images)
    over, gradient_over = (median(t[i] / t[0] for t in times) for i in (1, 2))
    return (
        f"| {images.shape[-1]} | {len(images)} | {forward:.1f} | {over:.3f} | {gradient_over:.3f} "
        f"| {peer:.0f} | {peer / ours:.0f} | {peer / gradient:.0f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = LocalizerConfig(arguments.backbone, CHESTXRAY14, transition_channels=0)
    network = Localizer(config).eval()
    print(f"{arguments.backbone}, 14 findings, CPU, {torch.get_num_threads()} thread(s)\n")
    print(
        "| px | batch | forward, ms | CAM / forward | Grad-CAM / forward "
        "| grad-cam package, ms | package / CAM | package / Grad-CAM |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for size in (224, 512):
        for batch in (1, 8):
            print(row(network, torch.rand(batch, 1, size, size), arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
