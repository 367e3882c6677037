"""Maps of 14 findings against the bare forward pass, and against the grad-cam package.

    OMP_NUM_THREADS=1 python benchmarks/speed_heatmaps.py [--threads 1] [--backbone resnet50]
        [--sizes 224 512] [--batches 1 8]

All see the same images, in turns. In each of 14 rounds our maps of all findings are made once and
the package's GradCAM maps one finding (one target per image); its times are added up. Our times
are medians, ratios to the forward pass medians of each round's.
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
    """The same network in the form that the grad-cam package needs: it returns logits only.

    It also exposes the layer whose activations the package records.
    """

    def __init__(self, network: Localizer) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.network(images)[0]


def package_grad_cam(model: Classifier, images: Tensor, column: int) -> None:
    """The grad-cam package: the maps of one finding."""
    explainer = GradCAM(model, [model.network.backbone])
    explainer(images, [ClassifierOutputTarget(column)] * len(images))


def bare_forward(network: Localizer, images: Tensor) -> None:
    """A forward pass that computes logits only."""
    with torch.no_grad():
        network(images)


def milliseconds(function: Callable[..., object], *arguments: object) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - start) * 1000


def row(network: Localizer, images: Tensor, rounds: int) -> str:
    """A row of the table; in a round the grad-cam package maps one finding, and ours maps all."""
    ours = (bare_forward, cam, grad_cam)
    for contender in ours:
        contender(network, images)  # warm up
    classifier = Classifier(network)
    times = [
        [milliseconds(contender, network, images) for contender in ours]
        + [milliseconds(package_grad_cam, classifier, images, column)]
        for column in range(rounds)
    ]
    peer = median(t[3] for t in times) * len(CHESTXRAY14)
    forward, of_cam, of_grad_cam = (median(t[i] for t in times) for i in range(3))
    cam_over, grad_cam_over = (median(t[i] / t[0] for t in times) for i in (1, 2))
    return (
        f"| {images.shape[-1]} | {len(images)} | {forward:.1f} | {cam_over:.3f} "
        f"| {grad_cam_over:.3f} | {peer:.0f} | {peer / of_cam:.0f} | {peer / of_grad_cam:.0f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 512], help="pixels")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="images")
    parser.add_argument("--rounds", type=int, choices=range(1, 15), default=14, metavar="1..14")
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
    for size in arguments.sizes:
        for batch in arguments.batches:
            print(row(network, torch.rand(batch, 1, size, size), arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
