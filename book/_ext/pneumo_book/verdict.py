"""What the records can and cannot say, in a few sentences: the best pipeline, and those not distinguishable from it."""

from pneumo_book import comparison
from pneumo_lib import records
from pneumo_lib.records import Record
from pneumo_lib.report import pipelines
from pneumo_lib.report.style import interval_text


def verdict(found: list[Record]) -> str:
    """What these records can and cannot say, as Markdown."""
    if not found:
        return "**Not run.** `make book` runs the five experiments on the phantom."
    top = records.best(found)
    seeds = records.by_pipeline(found)[top.name]
    dsc, positive_dsc = (pipelines.interval(seeds, metric) for metric in ("dsc", "positive_dsc"))
    gain = pipelines.gain_over_empty(seeds)
    clear = "above" if gain.low > 0 else "not clearly above"
    text = [
        f"**On {comparison.described(found)}:** the best pipeline by validation score is {top.name}. Its mean DSC on test is "
        f"{interval_text(dsc)}, {clear} the {comparison.empty_text(seeds)} of empty masks (gain {interval_text(gain)}); on the "
        f"images with a pneumothorax alone it is {interval_text(positive_dsc)}.{not_distinguishable(found, top.name)}"
        f"{fallen_back(found)} "
        f"{comparison.brackets(seeds)}"
    ]
    if all(record.values["synthetic"] for record in found):
        text.append(
            "These numbers come from synthetic X-rays at a reduced scale. They show that the method runs end to end, not that "
            "it reaches the paper's scores on patients."
        )
    return "\n\n".join(text)


def fallen_back(found: list[Record]) -> str:
    """A sentence on the runs whose network ends up with empty masks for all test images; or nothing."""
    empty = [record for record in found if not record.per_image["predicted_px"].any()]
    runs = " and ".join(f"{record.name} (seed {record.values['seed']})" for record in empty)
    return f" The training of {runs} fell back to predicting empty masks for every image." if empty else ""


def not_distinguishable(found: list[Record], top: str) -> str:
    """A sentence on the pipelines that are not distinguishable from one, over seeds and patients and after Holm; or nothing."""
    seeds = records.by_pipeline(found)
    others = [name for name in seeds if name != top]
    compared = pipelines.compare(seeds, [(top, name) for name in others])
    close = [name for name in others if (top, name) not in compared or not compared[top, name].distinguishable]
    *first, last = close or [""]
    names = f"{', '.join(first)} and {last}" if first else last
    return f" On these images it is not distinguishable from {names}." if close else ""
