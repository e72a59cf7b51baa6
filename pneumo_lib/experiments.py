"""The five pipelines of the deck, every number once, each field with its source::

    experiments.get("exp4")                    the paper's scale
    experiments.get("exp4", profile="demo")    the same pipeline, small enough for two CPU cores

A profile (`profiles.py`) shrinks an experiment without changing its meaning; a variant (`exp3-own`, `exp5-text`) overrides
one thing where the sources can be read in two ways, and carries that in its name.
"""

import dataclasses
import hashlib
from dataclasses import dataclass, field, replace

from pneumo_lib import profiles, starts
from pneumo_lib.errors import ParameterError
from pneumo_lib.profiles import Profile


def _sourced(source: str, meaning: str, **kwargs):
    return field(metadata={"source": source, "meaning": meaning}, **kwargs)


CHOICES = {
    "channel_mapping": ("learned", "summed"),
    "input_norm": ("batch", "imagenet", "none"),
    "schedule": ("plateau", "cosine"),
    "restart": ("rate and optimizer", "rate", "nothing"),
    "augmentation_list": ("full", "flip", "none"),
}
"""Field -> the values that it can have."""


@dataclass(frozen=True)
class Stage:
    """One training stage: square images of `image_size` pixels per side, `batch_size` images per step, `epochs` passes.

    rate: the stage's initial learning rate, relative to the experiment's.
    """

    image_size: int
    batch_size: int
    epochs: int
    rate: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One pipeline. Field metadata carry the `source` (paper, deck, follow-up code, our choice) and the `meaning`.

    Raises:
        ParameterError: a value that the field cannot have.
    """

    name: str = _sourced("deck", "name of the pipeline")
    question: str = _sourced("our choice", "question of the pipeline, in our words")
    channels: int = _sourced("deck", "input channels; 3: the grey image three times")
    channel_mapping: str = _sourced(
        "deck: mapped to three; how: tutorial of the library",
        "mapping of one channel to three: a learned 1x1 convolution, or the first filters summed",
        default="learned",
    )
    input_norm: str = _sourced(
        "the library's ResNet34 (Keras)",
        "normalisation of the input: batch norm without a scale, the mean and deviation that belong to the encoder's "
        "weights, or none",
        default="batch",
    )
    encoder: str = _sourced("paper", "encoder of the U-Net", default="resnet34")
    binarization_threshold: float = _sourced("deck", "binarization threshold (B-TH) of the IoU watched while training")
    stages: tuple[Stage, ...] = _sourced(
        "deck", "training stages in order; each after the first starts from the weights of the one before"
    )
    starts_from: str | None = _sourced("deck", "experiment whose first stage is used instead of training one")
    averaged_epochs: int = _sourced(
        "deck says whether; follow-up code: the last 3-5",
        "stochastic weight averaging (SWA) over the last epochs of each stage; 0: the epoch of lowest validation loss",
    )
    averaged_statistics: bool = _sourced(
        "our choice; follow-up code: yes",
        "batch-norm statistics are averaged like the weights instead of estimated again",
        default=False,
    )
    encoder_weights: str | None = _sourced("deck", "initial weights of the encoder; none: random", default="imagenet")
    learning_rate: float = _sourced("follow-up code", "initial learning rate of Adam", default=1e-4)
    schedule: str = _sourced(
        "deck; follow-up code: cosine", "schedule of the learning rate within a stage", default="plateau"
    )
    plateau_factor: float = _sourced("deck", "factor by which the learning rate falls on a plateau", default=0.2)
    plateau_patience: int = _sourced(
        "deck, counted as Keras does",
        "the rate falls after this many epochs in a row without a better validation loss",
        default=5,
    )
    restart: str = _sourced(
        "deck", "what is re-initialised at the start of each further stage", default="rate and optimizer"
    )
    dice_smooth: float = _sourced("follow-up code", "added to both halves of the Dice fraction", default=1.0)
    augmentation_list: str = _sourced(
        "follow-up code", "training augmentation: the full list, the horizontal flip alone, or none", default="full"
    )
    augmentation_strength: float = _sourced(
        "follow-up code", "multiplies the probabilities of all augmentation but the flip", default=1.0
    )
    profile: str = _sourced("our choice", "scale of the run", default="paper")

    def __post_init__(self):
        for key, valid in CHOICES.items():
            if getattr(self, key) not in valid:
                raise ParameterError(f"unknown {key}={getattr(self, key)!r}; choose from {', '.join(valid)}.")
        if self.restart == "nothing" and self.schedule == "cosine":
            raise ParameterError(
                "restart='nothing' does not go with schedule='cosine', which ends each stage near a rate of 0."
            )

    @property
    def image_size(self) -> int:
        """Side in pixels at which the finished model predicts, its last stage's (our choice; the deck tests at 512)."""
        return self.stages[-1].image_size

    def initial_rate(self, number: int) -> float:
        """Learning rate at the start of stage `number`, from 1."""
        return self.learning_rate * self.stages[number - 1].rate

    def averaging_window(self, stage: Stage) -> int:
        """Last epochs of a stage whose weights are averaged; never more than half of a short stage (our choice)."""
        return min(self.averaged_epochs, max(1, stage.epochs // 2))

    def as_dict(self) -> dict:
        """Plain values, for a record: as they come back from JSON."""
        return dataclasses.asdict(self) | {"stages": [dataclasses.asdict(stage) for stage in self.stages]}

    @classmethod
    def from_dict(cls, values: dict) -> "Experiment":
        """The experiment of `as_dict`'s values, from JSON too.

        Raises:
            ParameterError: fields are missing, unknown or wrong; an older version of this package wrote it.
        """
        try:
            return cls(**(values | {"stages": tuple(Stage(**stage) for stage in values["stages"])}))
        except (TypeError, KeyError) as error:
            raise ParameterError(
                f"these settings are of another version of the package ({error}); train again."
            ) from error


_EXPERIMENTS = [
    Experiment(
        name="exp1",
        question="How far does one grey channel and one stage at 256 pixels get?",
        channels=1,
        binarization_threshold=0.50,
        # The deck's lone "17" under 512 has no batch size and no stage-2 score: read as a stray cell.
        stages=(Stage(256, 40, 50),),
        starts_from=None,
        averaged_epochs=0,
    ),
    Experiment(
        name="exp2",
        question="Do three channels and weight averaging help within one stage?",
        channels=3,
        binarization_threshold=0.55,
        stages=(Stage(256, 40, 35),),
        starts_from=None,
        averaged_epochs=5,
    ),
    Experiment(
        name="exp3",
        question="What does a short second stage at 512 pixels add to exp2?",
        channels=3,
        binarization_threshold=0.55,
        stages=(Stage(256, 40, 35), Stage(512, 14, 10)),
        starts_from="exp2",
        averaged_epochs=5,
    ),
    Experiment(
        name="exp4",
        question="Do longer stages and a stricter threshold help?",
        channels=3,
        binarization_threshold=0.75,
        stages=(Stage(256, 40, 60), Stage(512, 14, 29)),
        starts_from=None,
        averaged_epochs=5,
    ),
    Experiment(
        name="exp5",
        question="Do larger batches and the longest stages help still more?",
        channels=3,
        binarization_threshold=0.75,
        # The deck's table; its text says batches of 40 and 14 (variant exp5-text).
        stages=(Stage(256, 64, 100), Stage(512, 16, 70)),
        starts_from=None,
        averaged_epochs=5,
    ),
]
EXPERIMENTS = {experiment.name: experiment for experiment in _EXPERIMENTS}


def derive(base: Experiment, name: str, /, **override) -> Experiment:
    """The experiment `base` with one field overridden, under a name of its own.

    Raises:
        ParameterError: no field, more than one, or an unknown one.
    """
    known = {one.name for one in dataclasses.fields(Experiment)} - {"name", "question", "profile"}
    if len(override) != 1 or not override.keys() <= known:
        raise ParameterError(
            f"{name} must override exactly one field of {base.name}, not {', '.join(override) or 'none'}."
        )
    return replace(base, name=name, **override)


def _variant(name: str, **override) -> Experiment:
    return derive(EXPERIMENTS[name.partition("-")[0]], name, **override)


VARIANTS = {
    variant.name: variant
    for variant in [
        _variant("exp1-summed", channel_mapping="summed"),
        # The other reading of exp1's lone 17: a second stage, with the batch of the others.
        _variant("exp1-two-stage", stages=(Stage(256, 40, 50), Stage(512, 14, 17))),
        # The deck's table gives exp3 a stage-1 score of its own: this reading trains that stage again.
        _variant("exp3-own", starts_from=None),
        _variant("exp4-cosine", schedule="cosine"),
        _variant("exp4-averaged-statistics", averaged_statistics=True),
        _variant("exp4-imagenet", input_norm="imagenet"),
        _variant("exp4-unnormalised", input_norm="none"),
        # As many pixels through the network as in both stages of exp4: 60 epochs at 256 pixels cost 15 at 512.
        _variant("exp4-one-stage", stages=(Stage(512, 14, 44),)),
        # PyTorch's count of a patience of 5.
        _variant("exp4-patience-6", plateau_patience=6),
        _variant("exp5-text", stages=(Stage(256, 40, 100), Stage(512, 14, 70))),
    ]
}
"""The other readings of the sources, each one override of a pipeline."""


def stream(experiment: Experiment | str, seed: int) -> int:
    """Seed of an experiment's own random stream, 0 to 2^32 - 1, derived from its name and the run's seed.

    It is used for the initial weights, the order of the images and the augmentation, so that two pipelines with one
    seed share nothing by accident.
    """
    name = getattr(experiment, "name", experiment)
    return int.from_bytes(hashlib.blake2b(f"{name} {seed}".encode(), digest_size=4).digest(), "big")


def get(name: str, profile: str = "paper") -> Experiment:
    """The experiment `name` at the scale of `profile`.

    Raises:
        ParameterError: unknown name or profile, or not a string; lists the valid ones.
    """
    valid = EXPERIMENTS | VARIANTS
    base, start = starts.parse(name) if isinstance(name, str) else (name, starts.Start())
    if not isinstance(name, str) or base not in valid:
        raise ParameterError(f"unknown exp={name!r}; choose from {', '.join(valid)}.")
    return starts.apply(_scaled(valid[base], profiles.get(profile)), start)


def _scaled(experiment: Experiment, profile: Profile) -> Experiment:
    paper = profiles.PROFILES["paper"]
    return replace(
        experiment,
        stages=tuple(_scaled_stage(stage, number, profile) for number, stage in enumerate(experiment.stages)),
        encoder_weights=experiment.encoder_weights and profile.encoder_weights,
        learning_rate=profile.learning_rate,
        schedule=profile.schedule or experiment.schedule,
        input_norm=profile.input_norm
        if profile.input_norm and experiment.input_norm == "batch"
        else experiment.input_norm,
        # A variant's patience is as much longer at every scale.
        plateau_patience=profile.plateau_patience + experiment.plateau_patience - paper.plateau_patience,
        augmentation_strength=profile.augmentation_strength,
        averaged_epochs=min(experiment.averaged_epochs, profile.averaged_epochs),
        profile=profile.name,
    )


def _scaled_stage(stage: Stage, number: int, profile: Profile) -> Stage:
    """Stage `number`, from 0, of the paper's scale at that of `profile`; sizes, batches and epochs follow the image size."""
    size = profiles.PROFILES["paper"].image_sizes.index(stage.image_size)
    return Stage(
        profile.image_sizes[size],
        max(2, round(stage.batch_size / profile.batch_divisors[size])),
        max(1, round(stage.epochs / profile.epoch_divisors[size])),
        stage.rate if number == 0 else profile.second_rate or stage.rate,
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
