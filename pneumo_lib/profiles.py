"""The scales at which every experiment can run: the paper's own, and smaller ones that keep its meaning (our choice)."""

from dataclasses import dataclass

import pandas as pd

from pneumo_lib.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A scale at which every experiment can run (our choice, but for `paper`).

    `image_sizes` stand for the deck's 256 and 512; batch sizes and epochs at each are divided by
    `batch_divisors` and `epoch_divisors`, rounded, at least 1 (and at least 2 images per batch, for batch norm).
    phantom_subsets: training, validation and test images of the phantom data set made for it.
    second_rate: of the second stage, relative to the first one's learning rate; `None`: the experiment's own.
    schedule: of the learning rate; `None`: the experiment's own.
    input_norm: in place of batch norm on the input; `None`: the experiment's own.
    threads: CPU threads of one training, so that its result does not depend on the number of cores; `None`: all cores.
    """

    name: str
    purpose: str
    image_sizes: tuple[int, int]
    batch_divisors: tuple[float, float]
    epoch_divisors: tuple[float, float]
    phantom_subsets: tuple[int, int, int]
    encoder_weights: str | None
    learning_rate: float
    second_rate: float | None = None
    schedule: str | None = None
    input_norm: str | None = None
    plateau_patience: int
    averaged_epochs: int
    augmentation_strength: float
    threads: int | None

    @property
    def phantom_images(self) -> int:
        """Size of the phantom data set made for it."""
        return sum(self.phantom_subsets)


_PROFILES = [
    Profile(
        name="paper",
        purpose="the deck's own sizes, batches and epochs, ImageNet weights: hours on one GPU",
        image_sizes=(256, 512),
        batch_divisors=(1, 1),
        epoch_divisors=(1, 1),
        # The deck's 10,065 training images, a tenth of them for validation, and 1,830 test images.
        phantom_subsets=(9_059, 1_006, 1_830),
        encoder_weights="imagenet",
        learning_rate=1e-4,
        plateau_patience=5,
        averaged_epochs=5,
        augmentation_strength=1.0,
        threads=None,
    ),
    Profile(
        name="half",
        purpose="half the sizes, a third of the epochs, from random weights: an hour or two on two CPU cores",
        image_sizes=(128, 256),
        batch_divisors=(5, 2.5),
        epoch_divisors=(3, 3),
        phantom_subsets=(800, 200, 1_000),
        encoder_weights=None,
        learning_rate=5e-4,
        plateau_patience=2,
        averaged_epochs=3,
        augmentation_strength=0.5,
        threads=None,
    ),
    Profile(
        name="demo",
        purpose="all five pipelines on two CPU cores in half an hour or more, from random weights",
        image_sizes=(64, 128),
        batch_divisors=(7, 2.5),
        # The second stage is where the time goes: exp5's alone sets how long all five take.
        epoch_divisors=(3, 14),
        phantom_subsets=(400, 200, 1_000),
        encoder_weights=None,
        # Random weights take larger steps than fine-tuning; at 5e-4 the second stage falls back to empty masks.
        learning_rate=2e-4,
        # Shortened as the epochs are, but not so far that one noisy epoch counts.
        plateau_patience=2,
        averaged_epochs=2,
        # What helps over many epochs keeps a network that sees few steps from learning anything.
        augmentation_strength=0.2,
        threads=1,
    ),
    Profile(
        name="study",
        purpose="the studies: many short trainings of exp4's recipe on phantoms, from random weights",
        image_sizes=(64, 128),
        batch_divisors=(5, 2.5),
        epoch_divisors=(4.5, 4),
        phantom_subsets=(600, 400, 2_000),
        encoder_weights=None,
        # Chosen on pilot runs: at 3e-4 and 5e-4 the second stage falls back to empty masks (book/claims/plan.md).
        learning_rate=2e-4,
        plateau_patience=2,
        # As many in an arm of 7 epochs as in one of 41.
        averaged_epochs=2,
        augmentation_strength=1.0,
        threads=1,
    ),
    Profile(
        name="real",
        purpose="real X-rays on two CPU cores in some hours, from ImageNet weights",
        image_sizes=(128, 256),
        batch_divisors=(2.5, 1),
        # One stage of 512 pixels for 44 epochs, exp4-one-stage, then costs what exp4's two stages cost, to the epoch.
        epoch_divisors=(4, 4),
        phantom_subsets=(600, 200, 1_000),
        encoder_weights="imagenet",
        # Fewer steps than the paper's need larger ones, and a schedule that surely ends with small ones.
        learning_rate=1e-3,
        second_rate=0.7,
        schedule="cosine",
        # Statistics of the input cannot be learned well in a few epochs; those of the weights are known.
        input_norm="imagenet",
        plateau_patience=2,
        averaged_epochs=3,
        augmentation_strength=0.5,
        threads=1,
    ),
    Profile(
        name="smoke",
        purpose="every step once, in seconds; its scores mean nothing",
        image_sizes=(32, 64),
        batch_divisors=(10, 10),
        epoch_divisors=(100, 100),
        phantom_subsets=(14, 5, 5),
        encoder_weights=None,
        learning_rate=1e-3,
        plateau_patience=1,
        averaged_epochs=1,
        augmentation_strength=1.0,
        threads=1,
    ),
]
PROFILES = {profile.name: profile for profile in _PROFILES}


def get(name: str) -> Profile:
    """The profile `name`.

    Raises:
        ParameterError: unknown or not a string; lists the valid ones.
    """
    if not isinstance(name, str) or name not in PROFILES:
        raise ParameterError(f"unknown profile={name!r}; choose from {', '.join(PROFILES)}.")
    return PROFILES[name]


def departures(experiment) -> pd.DataFrame:
    """What the experiment's profile changes of the method, one row per setting; empty at the paper's scale.

    Args:
        experiment: an `Experiment`, scaled to its profile.

    Returns:
        Columns "here" and "paper's scale", index: the setting.
    """
    profile, paper = get(experiment.profile), PROFILES["paper"]
    sizes = [paper.image_sizes[profile.image_sizes.index(stage.image_size)] for stage in experiment.stages]
    rows: dict[str, tuple] = {"image size": _each(experiment, "image_size") + (" → ".join(map(str, sizes)),)}
    for title, field, divisors in (
        ("batch size", "batch_size", profile.batch_divisors),
        ("epochs", "epochs", profile.epoch_divisors),
    ):
        factors = [f"{divisors[paper.image_sizes.index(size)]:g}" for size in sizes]
        rows[title] = (*_each(experiment, field), f"{' and '.join(factors)} times as many")
    rows["encoder weights"] = (experiment.encoder_weights or "random", paper.encoder_weights)
    rows["initial learning rate"] = (f"{experiment.learning_rate:g}", f"{paper.learning_rate:g}")
    second = f"{profile.second_rate or 1:g} x the first one's"
    rows["initial rate of stage 2"] = (second, "1 x the first one's")
    rows["schedule"] = (experiment.schedule, profile.schedule and "plateau" or experiment.schedule)
    rows["input normalisation"] = (experiment.input_norm, profile.input_norm and "batch" or experiment.input_norm)
    rows["epochs until a plateau"] = (
        str(experiment.plateau_patience),
        str(experiment.plateau_patience - profile.plateau_patience + paper.plateau_patience),
    )
    rows["averaged epochs (SWA)"] = tuple(
        str(min(one.averaged_epochs, experiment.averaged_epochs and 5)) for one in (profile, paper)
    )
    rows["augmentation strength"] = tuple(f"{one.augmentation_strength:g}" for one in (profile, paper))
    if profile == paper:
        rows = {}
    if len(experiment.stages) < 2:
        rows.pop("initial rate of stage 2", None)
    if experiment.schedule == "cosine":
        rows.pop("epochs until a plateau", None)
    changed = {title: row for title, row in rows.items() if row[0] != row[1]}
    return pd.DataFrame.from_dict(changed, orient="index", columns=["here", "paper's scale"])


def _each(experiment, field: str) -> tuple[str]:
    """A field of every stage as one text, in a tuple."""
    return (" → ".join(str(getattr(stage, field)) for stage in experiment.stages),)
