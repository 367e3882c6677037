"""The settings of a training as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cxrloc.devices import PRECISIONS
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.training.hardware import HardwareConfig
from cxrloc.training.losses import LOSSES
from cxrloc.training.optimizers import OPTIMIZERS
from cxrloc.training.schedules import LENGTHS, SCHEDULES, Progress, ScheduleConfig, in_steps

KEPT = ("best", "last")
LEAST: dict[str, float] = {
    "batch_size": 1,
    "accumulation": 1,
    **dict.fromkeys(("steps", "epochs", "validate_every", "stop_after", "frozen_layers"), 0),
    **dict.fromkeys(("backbone_rate", "weight_decay", "clip_norm", "seed"), 0),
}
"""Smallest allowed value of each of these settings."""

_MOST_POINTS = 2000  # of a curve of learning rates


@dataclass(frozen=True, slots=True)
class FitConfig:
    """The settings of a training.

    Attributes:
        schedule: schedule of the learning rate.
        batch_size: images per step, over all processes and forward passes together (80 in Wang et
            al. 2017). It does not depend on the number of GPUs or on their memory.
        steps: number of training steps; 0: it follows from `epochs`.
        epochs: passes over the training images; in each pass, the images that are left over after
            the last full batch are not used.
        accumulation: number of forward passes into which a step's images are divided.
        loss: a name of `LOSSES`.
        optimizer: a name of `OPTIMIZERS`.
        momentum: momentum of "sgd"; beta1 of the other optimizers.
        weight_decay: weight decay of weights; biases and normalisation have none.
        backbone_rate: learning rate of the backbone as a share of that of the other layers; 0: the
            backbone is frozen.
        frozen_layers: number of the backbone's first layers, as torchvision numbers them, whose
            weights and statistics are frozen at any rate; only for backbones with numbered layers.
        frozen_normalisation: batch normalisation keeps its statistics everywhere; otherwise they
            are those of the images of each pass, over all processes.
        clip_norm: largest norm of the gradient; 0: no limit.
        precision: precision of the forward and backward passes: "fp32", "bf16", or "fp16" with a
            scaled loss. Weights are always float32.
        channels_last: whether to use this memory layout, which is faster for convolutions on most
            processors.
        sampling: a name of `datasets.batches.SAMPLERS`.
        averaging: decay per step of the exponential average of weights, which is validated and
            kept; 0: the weights are not averaged.
        validate_every: steps between validations, each followed by a checkpoint; 0: it follows
            from `validate_every_epochs`.
        validate_every_epochs: epochs between validations.
        stop_after: number of validations without a smaller loss after which training stops; 0:
            training does not stop early.
        keep: which weights are kept: those with the "best" validation loss, or the "last".
        seed: seed of the first weights and of all random numbers.
        hardware: how a GPU computes.

    Raises:
        CxrlocError: a value is out of its range or unknown, or two values contradict each other.
    """

    schedule: ScheduleConfig
    batch_size: int
    steps: int = 0
    epochs: int = 0
    accumulation: int = 1
    loss: str = "cel"
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.0
    backbone_rate: float = 1.0
    frozen_layers: int = 0
    frozen_normalisation: bool = False
    clip_norm: float = 0.0
    precision: str = "fp32"
    channels_last: bool = False
    sampling: str = "shuffled"
    averaging: float = 0.0
    validate_every: int = 0
    validate_every_epochs: float = 1.0
    stop_after: int = 0
    keep: str = "best"
    seed: int = 0
    hardware: HardwareConfig = field(default_factory=HardwareConfig)

    def __post_init__(self) -> None:
        for what, value, known in (
            ("loss", self.loss, LOSSES),
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("precision", self.precision, PRECISIONS),
            ("keep", self.keep, KEPT),
        ):
            if value not in known:
                raise CxrlocError(f"{what} {value!r} is unknown: choose one of {', '.join(known)}")
        for key, least in LEAST.items():
            if getattr(self, key) < least:
                raise CxrlocError(f"{key} = {getattr(self, key)}: it must be {least} or more")
        for key in ("momentum", "averaging"):
            if not 0 <= getattr(self, key) < 1:
                raise CxrlocError(f"{key} = {getattr(self, key)}: it must be 0 or more and below 1")
        if (self.steps > 0) == (self.epochs > 0):
            raise CxrlocError("give either steps or epochs, above 0")
        if self.validate_every_epochs <= 0:
            raise CxrlocError(
                f"validate_every_epochs = {self.validate_every_epochs}: it must be above 0"
            )
        if self.batch_size % self.accumulation:
            raise CxrlocError(
                f"a batch of {self.batch_size} cannot be shared by {self.accumulation} passes"
            )


def counts_epochs(config: FitConfig) -> bool:
    """Whether the lengths of a training or of its schedule depend on the number of images.

    >>> counts_epochs(FitConfig(ScheduleConfig(0.1, warmup_epochs=1.0), batch_size=4, steps=9))
    True
    """
    return bool(config.epochs or any(getattr(config.schedule, key) for key in LENGTHS.values()))


def resolved(config: FitConfig, images: int) -> FitConfig:
    """The settings with all lengths in steps, for this number of training images.

    An epoch has as many steps as the images fill complete batches, for every sampling method.

    Raises:
        CxrlocError: there are fewer images than a batch needs.

    >>> config = FitConfig(ScheduleConfig(0.1), batch_size=4, epochs=3)
    >>> resolved(config, images=9).steps
    6
    """
    per_epoch = images // config.batch_size
    if not per_epoch:
        raise CxrlocError(f"{images} training images are fewer than a batch ({config.batch_size})")
    validate_every = max(1, round(config.validate_every_epochs * per_epoch))
    return replace(
        config,
        schedule=in_steps(config.schedule, per_epoch),
        steps=config.steps or config.epochs * per_epoch,
        epochs=0,
        validate_every=config.validate_every or validate_every,
    )


def learning_rate(
    step: int, config: FitConfig, history: Sequence[Mapping[str, float]] = ()
) -> float:
    """The learning rate of the next step.

    Args:
        step: number of finished steps.
        config: settings with all lengths in steps.
        history: rows of metrics.csv so far.
    """
    losses = [row["validation_loss"] for row in history if "validation_loss" in row]
    schedule = SCHEDULES[config.schedule.name]
    return schedule(Progress(step, config.steps, losses), config.schedule)


def validations_since_best(history: Sequence[Mapping[str, float]]) -> int:
    """The number of validations since the smallest loss; 0 if no validation loss is known.

    >>> validations_since_best([{"validation_loss": loss} for loss in (0.5, 0.3, 0.4, 0.3)])
    2
    >>> validations_since_best([{"loss": 0.5}, {"loss": 0.4}])  # nothing to validate on
    0
    """
    losses = [row["validation_loss"] for row in history if "validation_loss" in row]
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0


def planned_rates(stages: Sequence[FitConfig], training_images: int = 0) -> list[tuple[int, float]]:
    """Steps of a training and their learning rates, at most about 2,000 per stage, evenly spread.

    As in a run's `metrics.csv`, the first step is 1, and a further stage continues to count from
    the last step of the stage before. The schedule "plateau" is shown without its cuts, which
    depend on losses.

    Args:
        stages: the stages of a recipe, in their order.
        training_images: number of images, needed if a stage counts epochs.

    Raises:
        UsageError: a stage counts epochs, and the number of images is not known.

    >>> fit = FitConfig(ScheduleConfig(8.0, "step", decay_every=1), batch_size=2, steps=2)
    >>> planned_rates([fit, fit])
    [(1, 8.0), (2, 0.8), (3, 8.0), (4, 0.8)]
    """
    rates: list[tuple[int, float]] = []
    done = 0
    for fit in stages:
        if counts_epochs(fit) and not training_images:
            raise UsageError("the recipe counts epochs: say --training-images, and it has steps")
        known = resolved(fit, training_images) if counts_epochs(fit) else fit
        every = -(-known.steps // _MOST_POINTS)
        places = sorted({*range(0, known.steps, every), known.steps - 1})
        rates += [(done + step + 1, learning_rate(step, known)) for step in places]
        done += known.steps
    return rates
