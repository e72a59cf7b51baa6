"""The five pipelines of the deck, every number once, each field with its source::

    experiments.get("exp4")                    the paper's scale
    experiments.get("exp4", profile="demo")    the same pipeline, small enough for two CPU cores

A profile (`profiles.py`) shrinks an experiment without changing its meaning; a variant (`exp3-own`, `exp5-text`) overrides
one thing where the deck can be read in two ways, and carries that in its name.
"""

import dataclasses
from dataclasses import dataclass, field, replace

from pneumo_lib import profiles, starts
from pneumo_lib.errors import ParameterError
from pneumo_lib.profiles import Profile


def _sourced(source: str, meaning: str, **kwargs):
    return field(metadata={"source": source, "meaning": meaning}, **kwargs)


@dataclass(frozen=True)
class Stage:
    """One training stage: square images of `image_size` pixels a side, `batch_size` images a step, `epochs` passes."""

    image_size: int
    batch_size: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One pipeline. Field metadata carry the `source` (paper, deck, follow-up code, our choice) and the `meaning`."""

    name: str = _sourced("deck", "name of the pipeline")
    question: str = _sourced("our choice", "what the pipeline asks, in our words")
    channels: int = _sourced("deck", "input channels; 3: the grey image three times")
    binarization_threshold: float = _sourced("deck", "binarization threshold (B-TH) of the IoU watched while training")
    stage1: Stage = _sourced("deck", "first stage, from the encoder weights")
    stage2: Stage | None = _sourced("deck", "second stage, from the first one's weights, learning rate re-initialised")
    starts_from: str | None = _sourced("deck", "experiment whose first stage is taken over instead of training one")
    averaged_epochs: int = _sourced(
        "deck says whether; follow-up code: the last 3-5",
        "stochastic weight averaging (SWA) over the last epochs of each stage; 0: the epoch of lowest validation loss",
    )
    encoder_weights: str | None = _sourced("deck", "what the encoder starts from; none: random", default="imagenet")
    learning_rate: float = _sourced("follow-up code", "Adam's, at the start of a stage", default=1e-4)
    stage2_rate: float = _sourced(
        "our choice: 1, the deck re-initialises",
        "the second stage's initial learning rate, relative to that",
        default=1.0,
    )
    plateau_factor: float = _sourced("deck", "the learning rate is multiplied by it on a plateau", default=0.2)
    plateau_patience: int = _sourced("deck", "epochs without a better validation loss that make a plateau", default=5)
    dice_smooth: float = _sourced("follow-up code", "added to both halves of the Dice fraction", default=1.0)
    augmentation: float = _sourced(
        "follow-up code", "strength of the augmentation; multiplies the probabilities of all but the flip", default=1.0
    )
    profile: str = _sourced("our choice", "scale of the run", default="paper")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The one or two stages, in order; the first belongs to `starts_from` where that is set."""
        return (self.stage1,) if self.stage2 is None else (self.stage1, self.stage2)

    @property
    def image_size(self) -> int:
        """Side in pixels at which the finished model predicts, its last stage's (our choice; the deck tests at 512)."""
        return self.stages[-1].image_size

    def initial_rate(self, number: int) -> float:
        """Learning rate at the start of stage `number`, from 1."""
        return self.learning_rate * (self.stage2_rate if number == 2 else 1.0)

    def averaging_window(self, stage: Stage) -> int:
        """Last epochs of a stage whose weights are averaged; never more than half of a short stage (our choice)."""
        return min(self.averaged_epochs, max(1, stage.epochs // 2))

    def as_dict(self) -> dict:
        """Plain values, for a record."""
        return dataclasses.asdict(self)


_EXPERIMENTS = [
    Experiment(
        name="exp1",
        question="How far does one grey channel and one stage at 256 pixels get?",
        channels=1,
        binarization_threshold=0.50,
        stage1=Stage(256, 40, 50),
        # The deck's lone "17" under 512 has no batch size and no stage-2 score: read as a stray cell.
        stage2=None,
        starts_from=None,
        averaged_epochs=0,
    ),
    Experiment(
        name="exp2",
        question="Do three channels and weight averaging help within one stage?",
        channels=3,
        binarization_threshold=0.55,
        stage1=Stage(256, 40, 35),
        stage2=None,
        starts_from=None,
        averaged_epochs=5,
    ),
    Experiment(
        name="exp3",
        question="What does a short second stage at 512 pixels add to exp2?",
        channels=3,
        binarization_threshold=0.55,
        stage1=Stage(256, 40, 35),
        stage2=Stage(512, 14, 10),
        starts_from="exp2",
        averaged_epochs=5,
    ),
    Experiment(
        name="exp4",
        question="Do longer stages and a stricter threshold help?",
        channels=3,
        binarization_threshold=0.75,
        stage1=Stage(256, 40, 60),
        stage2=Stage(512, 14, 29),
        starts_from=None,
        averaged_epochs=5,
    ),
    Experiment(
        name="exp5",
        question="Do larger batches and the longest stages help still more?",
        channels=3,
        binarization_threshold=0.75,
        # The deck's table; its text says batches of 40 and 14 (variant exp5-text).
        stage1=Stage(256, 64, 100),
        stage2=Stage(512, 16, 70),
        starts_from=None,
        averaged_epochs=5,
    ),
]
EXPERIMENTS = {experiment.name: experiment for experiment in _EXPERIMENTS}

VARIANTS = {
    # The deck's table gives exp3 a stage-1 score of its own: this reading trains that stage again.
    "exp3-own": replace(EXPERIMENTS["exp3"], name="exp3-own", starts_from=None),
    "exp5-text": replace(EXPERIMENTS["exp5"], name="exp5-text", stage1=Stage(256, 40, 100), stage2=Stage(512, 14, 70)),
}


def get(name: str, profile: str = "paper") -> Experiment:
    """The experiment `name` at the scale of `profile`.

    Raises:
        ParameterError: unknown name or profile, or not a string; lists the valid ones.
    """
    valid = EXPERIMENTS | VARIANTS
    base, start = starts.parse(name) if isinstance(name, str) else (name, starts.Start())
    if not isinstance(name, str) or base not in valid:
        raise ParameterError(f"exp={name!r} is no experiment; choose one of {', '.join(valid)}.")
    return starts.apply(_scaled(valid[base], profiles.get(profile)), start)


def _scaled(experiment: Experiment, profile: Profile) -> Experiment:
    def stage(index: int, at_paper: Stage | None) -> Stage | None:
        if at_paper is None:
            return None
        return Stage(
            profile.image_sizes[index],
            max(2, round(at_paper.batch_size / profile.batch_divisors[index])),
            max(1, round(at_paper.epochs / profile.epoch_divisors[index])),
        )

    return replace(
        experiment,
        stage1=stage(0, experiment.stage1),
        stage2=stage(1, experiment.stage2),
        encoder_weights=profile.encoder_weights,
        learning_rate=profile.learning_rate,
        stage2_rate=profile.stage2_rate,
        plateau_patience=profile.plateau_patience,
        augmentation=profile.augmentation,
        averaged_epochs=min(experiment.averaged_epochs, profile.averaged_epochs),
        profile=profile.name,
    )


def differences(experiment: Experiment, other: Experiment) -> dict[str, tuple]:
    """Field → (value in `other`, value in `experiment`) where the two pipelines differ, names and questions aside."""
    mine, theirs = experiment.as_dict(), other.as_dict()
    return {
        key: (theirs[key], mine[key]) for key in mine if key not in ("name", "question") and mine[key] != theirs[key]
    }


def previous(experiment: Experiment) -> Experiment | None:
    """The pipeline before this one, at the same scale: exp1's is none, a variant's the pipeline that it varies."""
    names = list(EXPERIMENTS)
    if starts.SEPARATOR in experiment.name:
        return get(starts.parse(experiment.name)[0], experiment.profile)
    if experiment.name not in names:
        return get(experiment.name.partition("-")[0], experiment.profile)
    position = names.index(experiment.name)
    return get(names[position - 1], experiment.profile) if position else None
