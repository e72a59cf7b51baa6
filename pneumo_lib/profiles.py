"""The scales at which every experiment can run: the paper's own, and smaller ones that keep its meaning (our choice)."""

from dataclasses import dataclass

from pneumo_lib.errors import ParameterError


@dataclass(frozen=True)
class Profile:
    """A scale at which every experiment can run (our choice, but for `paper`).

    `image_sizes` stand for the deck's 256 and 512; batch sizes and epochs of each stage are divided by
    `batch_divisors` and `epoch_divisors`, rounded, at least 1 (and at least 2 images a batch, for batch norm).
    `phantom_images` is the size of the phantom data set made for it.
    """

    name: str
    purpose: str
    image_sizes: tuple[int, int]
    batch_divisors: tuple[float, float]
    epoch_divisors: tuple[float, float]
    phantom_images: int
    encoder_weights: str | None
    learning_rate: float
    stage2_rate: float
    plateau_patience: int
    averaged_epochs: int
    augmentation: float


PROFILES = {
    profile.name: profile
    for profile in [
        Profile(
            "paper",
            "the deck's own sizes, batches and epochs, ImageNet weights: hours on one GPU",
            (256, 512),
            (1, 1),
            (1, 1),
            # The deck's 10,065 training and 1,830 test images.
            phantom_images=11_895,
            encoder_weights="imagenet",
            learning_rate=1e-4,
            stage2_rate=1.0,
            plateau_patience=5,
            averaged_epochs=5,
            augmentation=1.0,
        ),
        Profile(
            "half",
            "half the sizes, a third of the epochs, from random weights: an hour or two on two CPU cores",
            (128, 256),
            (5, 2.5),
            (3, 3),
            phantom_images=1_200,
            encoder_weights=None,
            learning_rate=5e-4,
            stage2_rate=1.0,
            plateau_patience=2,
            averaged_epochs=3,
            augmentation=0.5,
        ),
        Profile(
            "demo",
            "all five pipelines on two CPU cores in a quarter of an hour, from random weights",
            (64, 128),
            (5, 2.5),
            (4.5, 4),
            phantom_images=400,
            encoder_weights=None,
            # Random weights learn from a few hundred images only with a larger step than fine-tuning takes.
            learning_rate=5e-4,
            # With batches half as large as the first stage's, that step made second stages fall back to empty masks.
            stage2_rate=0.5,
            # Shortened as the epochs are, but not so far that one noisy epoch counts.
            plateau_patience=2,
            averaged_epochs=2,
            # What helps over many epochs keeps a network that sees few steps from learning anything.
            augmentation=0.2,
        ),
        Profile(
            "smoke",
            "every step once, in seconds; its scores mean nothing",
            (32, 64),
            (10, 10),
            (100, 100),
            phantom_images=24,
            encoder_weights=None,
            learning_rate=1e-3,
            stage2_rate=1.0,
            plateau_patience=1,
            averaged_epochs=1,
            augmentation=1.0,
        ),
    ]
}


def get(name: str) -> Profile:
    """The profile `name`.

    Raises:
        ParameterError: unknown or not a string; lists the valid ones.
    """
    if not isinstance(name, str) or name not in PROFILES:
        raise ParameterError(f"profile={name!r} is no profile; choose one of {', '.join(PROFILES)}.")
    return PROFILES[name]
