"""What the records can and cannot say, in a few sentences: the best pipeline, and those that it cannot be told from."""

from pneumo_book import comparison
from pneumo_lib import metrics, records
from pneumo_lib.evaluation import scores
from pneumo_lib.metrics import Interval
from pneumo_lib.records import Record
from pneumo_lib.report import style


def gain_over_blank(seeds: list[Record]) -> Interval:
    """How far a pipeline's mean DSC on test lies above that of predicting nothing on the same images, with its interval."""
    images = records.mean_over_seeds(seeds)
    return metrics.paired_bootstrap(images["dsc"], images["truth_px"] == 0, images["patient_id"])


def verdict(found: list[Record]) -> str:
    """What these records can and cannot say, as Markdown."""
    if not found:
        return "**Not run.** `make book` runs the five experiments on the phantom."
    top = records.best(found)
    seeds = [record for record in found if record.name == top.name]
    blank = top.values["test"][scores.BLANK]["scores"]["dsc"][0]
    dsc, positive_dsc = (
        comparison.seeds_text([records.headline(record)[key] for record in seeds]) for key in ("dsc", "positive_dsc")
    )
    gain = gain_over_blank(seeds)
    clear = "above" if gain.low > 0 else "not clearly above"
    text = [
        f"**On {comparison.label(found)}:** the best of the five pipelines is {top.name}, with a mean DSC of {dsc}, {clear} "
        f"the {blank:.3f} of predicting nothing (gain {style.interval_text(gain)}); on the images with a pneumothorax alone "
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
        name: [records.headline(one)["dsc"][0] for one in found if one.name == name]
        for name in {one.name for one in found}
    }
    close = []
    for name in sorted(seeds.keys() - {top}):
        both = records.side_by_side(found, top, name)
        gain = metrics.paired_bootstrap(both["dsc"], both["dsc_other"], both["patient_id"]) if len(both) else None
        if gain is None or gain.low <= 0 or min(seeds[top]) <= max(seeds[name]):
            close.append(name)
    *first, last = close or [""]
    names = f"{', '.join(first)} and {last}" if first else last
    return f" With these images and seeds it cannot be told from {names}." if close else ""
