"""What the records can and cannot say, in a few sentences: the best pipeline, and those that it cannot be told from."""

import numpy as np

from pneumo_lib import metrics
from pneumo_lib.report import comparison, scores
from pneumo_lib.report.records import Record


def best(found: list[Record]) -> Record:
    """The record of the best pipeline on test, by mean DSC with the thresholds chosen on validation.

    Pipelines with several seeds count with the mean of these, and the first one stands for all: a lucky seed is no merit.
    """
    means = {
        name: np.mean([_honest(record)["dsc"][0] for record in found if record.name == name])
        for name in dict.fromkeys(record.name for record in found)
    }
    top = max(means, key=means.get)
    return min((record for record in found if record.name == top), key=lambda record: record.values["seed"])


def gain_over_blank(seeds: list[Record]) -> metrics.Interval:
    """How far a pipeline's mean DSC on test lies above that of predicting nothing on the same images, with its interval."""
    images = comparison.mean_over_seeds(seeds)
    return metrics.paired_bootstrap(images["dsc"], images["truth_px"] == 0, images["patient_id"])


def verdict(found: list[Record]) -> str:
    """What these records can and cannot say, as Markdown."""
    if not found:
        return "**Not run.** `make book` runs the five experiments on the phantom."
    top = best(found)
    seeds = [record for record in found if record.name == top.name]
    blank = top.values["test"][scores.BLANK]["scores"]["dsc"][0]
    dsc, positive_dsc = (
        comparison.seeds_text([_honest(record)[key] for record in seeds]) for key in ("dsc", "positive_dsc")
    )
    gain = gain_over_blank(seeds)
    clear = "above" if gain.low > 0 else "not clearly above"
    text = [
        f"**On {comparison.label(found)}:** the best of the five pipelines is {top.name}, with a mean DSC of {dsc}, {clear} "
        f"the {blank:.3f} of predicting nothing (gain {scores.interval_text(gain)}); on the images with a pneumothorax alone "
        f"{positive_dsc}.{_not_told_apart(found, top.name)}"
    ]
    if all(record.values["synthetic"] for record in found):
        text.append(
            "These figures come from synthetic X-rays at a reduced scale. They show that the method runs whole, not that the "
            "paper's scores are reached on patients: **that was not run**, because the challenge's data may not be passed on."
        )
    return "\n\n".join(text)


def _not_told_apart(found: list[Record], top: str) -> str:
    """A sentence on the pipelines that other images or another seed might put above the best one."""
    seeds = {
        name: [_honest(one)["dsc"][0] for one in found if one.name == name] for name in {one.name for one in found}
    }
    close = []
    for name in sorted(seeds.keys() - {top}):
        both = comparison.side_by_side(found, top, name)
        gain = metrics.paired_bootstrap(both["dsc"], both["dsc_other"], both["patient_id"]) if len(both) else None
        if gain is None or gain.low <= 0 or min(seeds[top]) <= max(seeds[name]):
            close.append(name)
    *first, last = close or [""]
    names = f"{', '.join(first)} and {last}" if first else last
    return f" With these images and seeds it cannot be told from {names}." if close else ""


def _honest(record: Record) -> dict:
    return record.values["test"][scores.HONEST]["scores"]
