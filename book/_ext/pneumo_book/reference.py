"""The book's reference pages: the registry, the profiles, the notebooks' parameters and the state of what was run."""

import dataclasses
import math
import os
from collections.abc import Sequence

import pandas as pd

from pneumo_book import comparison, launch
from pneumo_book.markdown import table
from pneumo_lib import challenge, experiments, metrics, paths, published, records
from pneumo_lib.experiments import Experiment
from pneumo_lib.notebook import parameters_of
from pneumo_lib.profiles import PROFILES
from pneumo_lib.records import Record
from pneumo_lib.report import tables
from pneumo_lib.report.pipelines import own_stages


def registry() -> str:
    """Every field of the five pipelines and the variants at the paper's scale: what it means, its source, its values."""
    names = [*experiments.EXPERIMENTS, *experiments.VARIANTS]
    left_out = ("name", "question", "profile")
    fields = [field for field in dataclasses.fields(Experiment) if field.name not in left_out]
    about = {f"`{field.name}`": {key: field.metadata[key] for key in ("meaning", "source")} for field in fields}
    values = {
        f"`{field.name}`": {name: tables.text(getattr(experiments.get(name), field.name)) for name in names}
        for field in fields
    }
    return "\n".join(
        table(pd.DataFrame.from_dict(rows, orient="index"), caption, "field")
        for rows, caption in (
            (about, "What each setting means, and where it comes from."),
            (values, "The settings at the paper's scale; the columns after exp5 are variants."),
        )
    )


def pipelines() -> str:
    """The five pipelines side by side at the paper's scale, as in the deck's table."""
    rows = {
        name: {
            "channels": one.channels,
            "SWA": "yes" if one.averaged_epochs else "no",
            "B-TH": f"{one.binarization_threshold:.2f}",
            "stage 1": f"taken from {one.starts_from}" if one.starts_from else tables.text(one.stages[0]),
            "stage 2": tables.text(one.stages[1] if len(one.stages) > 1 else None),
        }
        for name, one in experiments.EXPERIMENTS.items()
    }
    caption = "The five pipelines (the deck). SWA: stochastic weight averaging; B-TH: binarization threshold."
    return table(pd.DataFrame.from_dict(rows, orient="index"), caption, "pipeline")


def profiles() -> str:
    """What each profile changes."""
    rows = {
        name: {
            "purpose": one.purpose,
            "pixels": " → ".join(map(str, one.image_sizes)),
            "batch divided by": " and ".join(f"{divisor:g}" for divisor in one.batch_divisors),
            "epochs divided by": " and ".join(f"{divisor:g}" for divisor in one.epoch_divisors),
            "phantoms: train / validation / test": " / ".join(f"{images:,}" for images in one.phantom_subsets),
            "encoder": one.encoder_weights or "random",
            "learning rates": f"{one.learning_rate:g} → {one.learning_rate * (one.second_rate or 1):g}",
        }
        for name, one in PROFILES.items()
    }
    return table(pd.DataFrame.from_dict(rows, orient="index"), "The profiles (our choice).", "profile")


TRAINING_IMAGES = 10_065
"""Of the deck; the times below are for as many."""


def second_stages() -> str:
    """What a second stage costs at the paper's scale, in epochs of the first one; an epoch costs what its pixels cost."""
    rows = {}
    for name, one in experiments.EXPERIMENTS.items():
        if len(one.stages) == 2:
            first, second = one.stages
            rows[name] = {
                "stage 1": f"{first.epochs} epochs" + (f" ({one.starts_from}'s)" if one.starts_from else ""),
                "stage 2": f"{second.epochs} epochs",
                "stage 2 in epochs of stage 1": f"{second.epochs * (second.image_size / first.image_size) ** 2:.0f}",
            }
    return table(
        pd.DataFrame.from_dict(rows, orient="index"), "What the second stages cost at the paper's scale.", "pipeline"
    )


def epoch_hours(found: Sequence[Record]) -> str:
    """A sentence: hours of one epoch at the paper's two sizes, from the speed of a run shown in this book."""
    timed = _timed(found)
    if timed is None:
        return NOT_TIMED
    sizes = PROFILES["paper"].image_sizes
    hours = " and ".join(f"{_hours(timed, size):.2g} hours at {size} pixels" for size in sizes)
    epoch = f"one epoch of {TRAINING_IMAGES:,} images takes about {hours} {_where(timed)}"
    return f"In time: at the speed of this book's {timed.name}, {epoch}.\n"


def times(found: Sequence[Record]) -> str:
    """How long exp4 trains on as many images as the deck's at each profile, from the speed of a run shown here."""
    timed = _timed(found)
    if timed is None:
        return NOT_TIMED
    speeds = " and ".join(f"{speed:.2g} images per second at {size} pixels" for size, speed in _speeds(timed).items())
    rows = {}
    for name in ("paper", "half", "demo"):
        stages = experiments.get("exp4", name).stages
        hours = [stage.epochs * _hours(timed, stage.image_size) for stage in stages]
        rows[f"`{name}`"] = {
            f"stage {number}": f"{stage.epochs} epochs at {stage.image_size}" for number, stage in enumerate(stages, 1)
        } | {"hours of stage 1 + 2": " + ".join(f"{one:.2g}" if one < 10 else f"{one:.0f}" for one in hours)}
    caption = (
        f"Hours of training exp4 on {TRAINING_IMAGES:,} images {_where(timed)}. From this book's {timed.name} "
        f"({timed.label}): {speeds}; larger images in proportion to their pixels."
    )
    return table(pd.DataFrame.from_dict(rows, orient="index"), caption, "profile")


NOT_TIMED = "**Not run.** `make book` times the pipelines and shows the times here.\n"


def _timed(found: Sequence[Record]) -> Record | None:
    return next((record for record in found if record.name == "exp4"), None)


def _where(timed: Record) -> str:
    cost = own_stages(timed)[-1]["cost"]
    cores = "one CPU core" if cost["threads"] == 1 else f"{cost['threads']} CPU cores"
    return f"on {cores if cost['device'] == 'cpu' else cost['device']}"


def _speeds(timed: Record) -> dict[int, float]:
    """Images per second in training by image size, as measured."""
    sizes = [stage["image_size"] for stage in timed.values["experiment"]["stages"]]
    return {size: one["cost"]["images_per_second"] for size, one in zip(sizes, own_stages(timed), strict=True)}


def _hours(timed: Record, size: int) -> float:
    """Of one epoch; sizes that were not run in proportion to the pixels of the largest one that was."""
    speeds = _speeds(timed)
    largest = max(speeds)
    speed = speeds.get(size) or speeds[largest] * (largest / size) ** 2
    return TRAINING_IMAGES / speed / 3600


def challenge_masks(name: str) -> pd.DataFrame:
    """A table that `pneumo_lib.evaluation.ceiling.write` made from the challenge's masks: `ceiling` or `baseline`."""
    return pd.read_csv(
        paths.repository() / "results" / "challenge-masks" / f"{name}.csv", encoding="utf-8", index_col=0
    )


def ceiling() -> str:
    """What a perfect model still scores at the deck's values of R-TH."""
    chosen = published.values("sweep", "best")["removal_threshold"]
    rows = {}
    for removal, one in challenge_masks("ceiling").loc[published.DECK_REMOVAL_THRESHOLDS].iterrows():
        rows[f"**{removal}** (the deck's choice)" if removal == chosen else removal] = {
            "pneumothoraces erased": f"{100 * one['erased']:.0f} %",
            "mean DSC of a perfect model": f"{one['dsc']:.4f}",
            "its positive-only DSC": f"{one['positive_dsc']:.4f}",
        }
    rows["empty prediction"] = {
        "pneumothoraces erased": "100 %",
        "mean DSC of a perfect model": f"{challenge.EMPTY_MASK_BASELINE:.4f}",
        "its positive-only DSC": "0",
    }
    caption = f"Perfect predictions on the masks of all {challenge.IMAGES:,} labelled images, after removal."
    return table(pd.DataFrame.from_dict(rows, orient="index"), caption, "R-TH at 512 x 512")


def seeds_needed() -> str:
    """Seeds per pipeline that find a true difference with 80 % power at 5 %, for the paper's own variability."""
    # As it is shown, so that a reader who computes the seeds from it finds the same.
    spread = round(repeat_sd("paper"), 3)
    # Of two pipelines with seeds of their own; images are taken as many enough to add nothing.
    seeds = metrics.Components(seed=2 * spread**2, image=0, interaction=0)
    rows = {
        f"{gain:.2f}": {"seeds per pipeline": metrics.seeds_needed(gain, seeds, challenge.IMAGES)}
        for gain in (0.05, 0.02, 0.01)
    }
    caption = f"For an SD of {spread:.3f}, by the exact power of the t-test."
    return table(pd.DataFrame.from_dict(rows, orient="index"), caption, "true difference")


def repeat_sd(source: str) -> float:
    """SD over runs, estimated from the two runs of one configuration: exp2 and exp3's first stage, in `paper` or `deck`."""
    one, other = (published.values("stage1_iou", name)[source] for name in ("exp2", "exp3"))
    return abs(one - other) / math.sqrt(2)


def sources() -> str:
    """Every number of the deck's tables with its status."""
    found = published.tables().set_index("table")
    return table(found, "Every number of the paper and the deck that this book uses.", "table")


def parameters() -> str:
    """Every parameter of every notebook."""
    text = []
    for name in launch.NOTEBOOKS:
        notebook = paths.repository() / "notebooks" / f"{name}.ipynb"
        if notebook.is_file():
            rows = {
                f"`{key}`": {
                    "type": about["inferred_type_name"] or "str",
                    "default": f"`{about['default'].splitlines()[0].strip() or about['default']}`",
                    "meaning": about["help"],
                }
                for key, about in parameters_of(notebook).items()
            }
            frame = pd.DataFrame.from_dict(rows, orient="index")
            text.append(
                f"## {name}\n\n{launch.line(name)}\n\n"
                + table(frame, f"Parameters of `notebooks/{name}.ipynb`.", "parameter")
            )
    return "\n".join(text)


def status(sets: dict[str, list[Record]], silver_sets: dict[str, list[Record]]) -> str:
    """What was run, where and when it says so, how long it took, and what was not run."""
    text = []
    for title, found in [*sets.items(), *silver_sets.items()]:
        rows = {f"{one.name}, seed {one.values['seed']}": _cost(one) for one in found}
        text.append(
            table(pd.DataFrame.from_dict(rows, orient="index"), f"Runs ({title}: {comparison.label(found)}).", "run")
        )
    here = records.environment()
    versions = {name: {"version": version} for name, version in here["packages"].items()}
    versions |= {"Python": {"version": here["python"]}, "platform": {"version": here["platform"]}}
    versions |= {
        "commit": {"version": here["commit"] or "not in a repository"},
        "CPU cores": {"version": os.cpu_count()},
    }
    text.append(table(pd.DataFrame.from_dict(versions, orient="index"), "Where this book was built.", "what"))
    return "\n".join(text)


def _cost(record: Record) -> dict:
    own = own_stages(record)
    seconds = sum(one["cost"]["seconds_training"] for one in own)
    return {
        "device": own[-1]["cost"]["device"],
        "threads": own[-1]["cost"]["threads"],
        "stages trained": len(own),
        "training minutes": f"{seconds / 60:.1f}",
        "torch": record.values["environment"]["packages"]["torch"],
        "commit": record.values["environment"]["commit"] or "–",
    }


def registry_csv() -> str:
    """The registry as CSV: one row per setting, its meaning and source, one column per pipeline."""
    rows = {}
    for field in dataclasses.fields(Experiment):
        values = {name: tables.text(getattr(experiments.get(name), field.name)) for name in experiments.EXPERIMENTS}
        rows[field.name] = {key: field.metadata[key] for key in ("meaning", "source")} | values
    return pd.DataFrame.from_dict(rows, orient="index").to_csv(index_label="setting", lineterminator="\n")
