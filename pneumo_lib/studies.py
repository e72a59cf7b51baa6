"""The studies: which arms are trained, and which comparisons decide each claim. Written before the first run.

A study compares arms, each derived from one base experiment by one override (`Arm.override`), or evaluates the base's runs in
several ways: other weights of the same training (`kind` "endings") or other post-processing (`kind` "choices").
Compute is the number of pixels through the network forward and backward; arms "at A's compute" match it to the epoch.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pneumo_lib.errors import ParameterError
from pneumo_lib.experiments import Experiment, Stage

BASE = "exp4"
"""The experiment that every arm is derived from."""
PROFILE = "study"
"""The scale at which the plan was written: 64 and 128 pixels, 13 and 7 epochs, 600/400/2,000 phantoms."""
TARGET = 0.40
"""Positive-only DSC on validation for "compute to reach": set from demo runs (0.17 after stage 1, 0.5 at the end)."""
ENDPOINTS = {
    "dsc": "mean DSC on test (512 grid, thresholds chosen on validation)",
    "auroc": "AUROC on test (an image's highest probability)",
    "positive_dsc": "positive-only DSC on test (512 grid, thresholds chosen on validation)",
    "area": "area under the curve of positive-only validation DSC over compute",
    "area_dsc": "area under the curve of mean validation DSC over compute",
    "reach": f"compute until positive-only validation DSC reaches {TARGET:.2f}",
}
"""Endpoint -> what is measured. Of "reach" less is better, of all others more."""

Override = Callable[[Experiment], dict[str, Any]]


@dataclass(frozen=True)
class Arm:
    """One way to train. `override`: the base experiment at some scale -> the field that differs; {}: none."""

    name: str
    title: str
    override: Override
    seeds: int = 3


@dataclass(frozen=True)
class Comparison:
    """a - b in an endpoint. `a` and `b` name arms, endings or choices, as the study's kind says."""

    a: str
    b: str
    endpoint: str
    question: str
    primary: bool = False


@dataclass(frozen=True)
class Study:
    """A claim and how it is tested.

    claim: what the source says, in our words unless quoted.
    hypothesis: what the runs show if the claim holds.
    base_override: what the study's base differs in from `BASE`.
    kind: what is compared: "arms", or "endings" and "choices" of the runs of the study two-stage.
    """

    name: str
    title: str
    claim: str
    hypothesis: str
    comparisons: tuple[Comparison, ...]
    arms: tuple[Arm, ...] = ()
    base_override: dict[str, Any] = field(default_factory=dict)
    kind: str = "arms"

    def arm(self, name: str) -> Arm:
        """The arm of this name.

        Raises:
            ParameterError: unknown; lists the valid ones.
        """
        found = {arm.name: arm for arm in self.arms}
        if name not in found:
            raise ParameterError(f"unknown arm {name!r} of study {self.name}; choose from {', '.join(found)}.")
        return found[name]


def _base(base: Experiment) -> dict:
    return {}


def _fixed(**override) -> Override:
    return lambda base: override


def _epochs(base: Experiment, stage: Stage, share: tuple[Stage, ...]) -> int:
    """Epochs at the size of `stage` that cost as much as the stages `share` of the base."""
    pixels = sum(one.epochs * one.image_size**2 for one in share)
    return max(1, round(pixels / stage.image_size**2))


def _with(stage: Stage, **changed) -> Stage:
    return type(stage)(**(vars(stage) | changed))


def _large_only(base: Experiment) -> dict:
    large = base.stages[-1]
    return {"stages": (_with(large, epochs=_epochs(base, large, base.stages), rate=1.0),)}


def _large_only_faster(factor: float) -> Override:
    return lambda base: _large_only(base) | {"learning_rate": base.learning_rate * factor}


def _large_all_epochs(base: Experiment) -> dict:
    return {"stages": (_with(base.stages[-1], epochs=sum(stage.epochs for stage in base.stages), rate=1.0),)}


def _small_only(base: Experiment) -> dict:
    small = base.stages[0]
    return {"stages": (_with(small, epochs=_epochs(base, small, base.stages)),)}


def _small_twice(base: Experiment) -> dict:
    small, large = base.stages
    return {"stages": (small, _with(small, epochs=_epochs(base, small, (large,)), rate=large.rate))}


def _large_twice(base: Experiment) -> dict:
    small, large = base.stages
    return {"stages": (_with(large, epochs=_epochs(base, large, (small,)), rate=1.0), large)}


def _large_batches(base: Experiment) -> dict:
    # The deck's batches of 64 and 16 against 40 and 14, in the same proportion at every scale.
    return {
        "stages": tuple(
            _with(stage, batch_size=round(stage.batch_size * ratio))
            for stage, ratio in zip(base.stages, (64 / 40, 16 / 14), strict=True)
        )
    }


def _large_batches_same_steps(base: Experiment) -> dict:
    larger = _large_batches(base)["stages"]
    return {
        "stages": tuple(
            _with(stage, epochs=round(stage.epochs * stage.batch_size / before.batch_size))
            for stage, before in zip(larger, base.stages, strict=True)
        )
    }


def _longer_plateau(base: Experiment) -> dict:
    # One epoch more, whatever the scale: 3 for the base's 2.
    return {"plateau_patience": base.plateau_patience + 1}


def _pairs(rows: list[tuple[str, str, str]], endpoints: tuple[str, ...]) -> tuple[Comparison, ...]:
    return tuple(Comparison(a, b, endpoint, question) for a, b, question in rows for endpoint in endpoints)


_BETTER, _FASTER = "Is two-stage training better than one stage?", "Does two-stage training converge faster?"
_STUDIES = [
    Study(
        name="two-stage",
        title="Two stages against one",
        claim='The abstract: "2-Stage Training leads to better and faster network convergence".',
        hypothesis="At equal compute, 64 → 128 pixels (A) scores higher than 128 pixels alone (B), and reaches the preset "
        "score with less compute.",
        arms=(
            Arm("A", "64 → 128 px, the base", _base, seeds=6),
            Arm("B", "128 px only, A's compute", _large_only, seeds=6),
            Arm("C", "128 px only, A's epochs", _large_all_epochs),
            Arm("D", "64 px only, A's compute", _small_only),
            Arm("E", "64 → 64 px, rate re-initialised, A's compute", _small_twice),
            Arm("F", "128 → 128 px, rate re-initialised, A's compute", _large_twice),
        ),
        comparisons=(
            Comparison("A", "B", "dsc", _BETTER, primary=True),
            Comparison("A", "B", "auroc", _BETTER, primary=True),
            Comparison("A", "B", "area", _FASTER, primary=True),
            Comparison("A", "B", "reach", _FASTER, primary=True),
            Comparison("A", "B", "positive_dsc", _BETTER),
            Comparison("A", "B", "area_dsc", _FASTER),
            *_pairs(
                [
                    ("A", "C", "Is it as good as 128 pixels for as many epochs, at half the compute?"),
                    ("A", "D", "What do larger images add, at equal compute?"),
                    ("A", "F", "Is it the small images of stage 1, or only the restart?"),
                    ("A", "E", "Is it the large images of stage 2, or only the restart?"),
                    ("F", "B", "Does the restart alone help at 128 pixels?"),
                    ("E", "D", "Does the restart alone help at 64 pixels?"),
                ],
                ("dsc", "auroc"),
            ),
            *_pairs([("A", "C", _FASTER), ("A", "F", _FASTER), ("F", "B", _FASTER)], ("area", "reach")),
        ),
    ),
    Study(
        name="rate",
        title="A learning rate chosen for one stage",
        claim="None; a control of the study above, whose learning rate was chosen for two stages alone.",
        hypothesis="Two stages score higher than one stage at A's compute, whatever rate the one stage is given.",
        arms=(
            Arm("two-stages", "64 → 128 px, the base", _base),
            Arm("one-stage-2x", "128 px only, A's compute, twice the learning rate", _large_only_faster(2), seeds=6),
            Arm("one-stage-5x", "128 px only, A's compute, 5 times the learning rate", _large_only_faster(5)),
        ),
        comparisons=_pairs(
            [
                ("two-stages", "one-stage-2x", "Is two-stage training better than one stage at twice the rate?"),
                ("two-stages", "one-stage-5x", "Is two-stage training better than one stage at 5 times the rate?"),
            ],
            ("dsc", "auroc", "positive_dsc"),
        ),
    ),
    Study(
        name="restart",
        title="Re-initialising the learning rate",
        claim="The deck re-initialises the learning rate at the start of stage 2.",
        hypothesis="A new rate in stage 2 scores higher than continuing with the rate that stage 1 had lowered.",
        # A rate that was never lowered would make the three arms alike: with a plateau after 1 epoch, stage 1 lowers it.
        base_override={"plateau_patience": 1},
        arms=(
            Arm("new", "new rate, new optimizer", _base),
            Arm("new-rate", "new rate, Adam's moments kept", _fixed(restart="rate")),
            Arm("continued", "rate and moments continued", _fixed(restart="nothing")),
        ),
        comparisons=_pairs(
            [
                ("new", "continued", "Does re-initialising the rate help?"),
                ("new", "new-rate", "Does a new optimizer help, given a new rate?"),
            ],
            ("dsc", "auroc"),
        ),
    ),
    Study(
        name="averaging",
        title="Averaging weights (SWA)",
        claim="The deck averages weights in exp2 to exp5; the follow-up code averages the last 3 to 5 epochs.",
        hypothesis="Averaged weights score higher than those of the last epoch of the same training.",
        kind="endings",
        comparisons=_pairs(
            [
                ("mean-5", "last", "Does the mean of the last 5 epochs beat the last epoch?"),
                ("mean-5", "best", "Does it beat the epoch of lowest validation loss?"),
                ("mean-5", "last-bn", "Is it the mean, or only the batch-norm statistics estimated again?"),
                ("mean-5", "mean-2", "Are five epochs better than two?"),
                ("mean-5", "mean-5-averaged", "Should statistics be estimated again, or averaged as in the follow-up?"),
            ],
            ("dsc", "auroc"),
        ),
    ),
    Study(
        name="channels",
        title="One grey channel or three",
        claim="The deck gives exp1 one channel, mapped to three, and all others three.",
        hypothesis="Three equal channels score higher than one. (From random weights there is little reason that they should.)",
        arms=(
            Arm("three", "the grey image three times, the base", _base),
            Arm("one-learned", "1 channel, a learned mapping to 3", _fixed(channels=1, channel_mapping="learned")),
            Arm("one-summed", "1 channel, first filters summed", _fixed(channels=1, channel_mapping="summed")),
        ),
        comparisons=_pairs(
            [
                ("three", "one-learned", "Are three channels better than a learned mapping?"),
                ("three", "one-summed", "Are three channels better than summed filters?"),
            ],
            ("dsc", "auroc"),
        ),
    ),
    Study(
        name="batch",
        title="Batch size",
        claim="The deck trains exp5 with batches of 64 and 16 in place of 40 and 14, and reports its best scores for it.",
        hypothesis="Batches of 64 and 16 (scaled) score higher than 40 and 14.",
        arms=(
            Arm("40-14", "40 and 14, scaled, the base", _base),
            Arm("64-16", "64 and 16, scaled, equal epochs", _large_batches),
            Arm("64-16-steps", "64 and 16, scaled, equal steps", _large_batches_same_steps),
        ),
        comparisons=_pairs(
            [
                ("64-16", "40-14", "Are larger batches better at equal epochs?"),
                ("64-16-steps", "40-14", "Are larger batches better at equal steps?"),
            ],
            ("dsc", "auroc"),
        ),
    ),
    Study(
        name="schedule",
        title="Learning-rate schedule",
        claim="The deck lowers the rate after 5 epochs on a plateau (PyTorch counts 6); the follow-up code uses cosine.",
        hypothesis="The deck's plateau, counted as Keras does, scores higher than PyTorch's count and than cosine.",
        arms=(
            Arm("plateau-5", "plateau after 5 epochs (Keras), scaled, the base", _base),
            Arm("plateau-6", "plateau after 6 epochs (PyTorch), scaled", _longer_plateau),
            Arm("cosine", "cosine within each stage", _fixed(schedule="cosine")),
        ),
        comparisons=_pairs(
            [
                ("plateau-5", "plateau-6", "Is Keras' count of the plateau better than PyTorch's?"),
                ("plateau-5", "cosine", "Is the plateau better than cosine?"),
            ],
            ("dsc", "auroc"),
        ),
    ),
    Study(
        name="augmentation",
        title="Augmentation while training",
        claim="The deck augments to generalise; the follow-up code flips, warps, shifts, scales, crops.",
        hypothesis="The full list scores higher than flip alone, and flip alone higher than none.",
        arms=(
            Arm("full", "the follow-up code's full list, the base", _base),
            Arm("flip", "horizontal flip only", _fixed(augmentation_list="flip")),
            Arm("none", "none", _fixed(augmentation_list="none")),
        ),
        comparisons=_pairs(
            [
                ("full", "none", "Does augmentation help?"),
                ("full", "flip", "Does the list help beyond the flip?"),
                ("flip", "none", "Does the flip help?"),
            ],
            ("dsc", "auroc"),
        ),
    ),
    Study(
        name="post-processing",
        title="Post-processing and test-time augmentation",
        claim="The deck removes components below R-TH (3,072 pixels is best), sweeps B-TH on test, averages over transforms.",
        hypothesis="Each choice scores higher than the alternative without it, on the same predictions.",
        kind="choices",
        comparisons=_pairs(
            [
                ("default", "no-removal", "Does removing small components help?"),
                ("default", "component-3072", "Is an R-TH chosen on validation better than the deck's 3,072?"),
                ("default", "mask", "Is removal by component better than blanking small masks?"),
                ("default", "triplet", "Is it better than the first place's triplet rule?"),
                ("default", "stepwise", "Do thresholds chosen by stepwise IoU cost mean DSC?"),
                ("on-test", "default", "By how much does choosing on test raise the score?"),
                ("default", "tta-none", "Does flip at test time help?"),
                ("tta-seven", "default", "Do all seven transforms help beyond flip?"),
            ],
            ("dsc",),
        ),
    ),
]
STUDIES = {study.name: study for study in _STUDIES}
"""Every study by name, in the order in which they are run."""


def get(name: str) -> Study:
    """The study `name`.

    Raises:
        ParameterError: unknown; lists the valid ones.
    """
    if name not in STUDIES:
        raise ParameterError(f"unknown study {name!r}; choose from {', '.join(STUDIES)}.")
    return STUDIES[name]
