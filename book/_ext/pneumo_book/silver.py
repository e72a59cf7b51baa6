"""Runs on real X-rays whose masks are silver labels, another model's predictions: shown apart from all others."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from pneumo_book import comparison, published_figures
from pneumo_book.markdown import command, figure, table
from pneumo_book.stacking import both
from pneumo_lib import records
from pneumo_lib.records import Record
from pneumo_lib.report import pipelines, score_figures
from pneumo_lib.report.style import interval_text

MEANING = "against silver labels, another model's masks: how well that model is imitated, not how accurate this one is"


def block(sets: dict[str, list[Record]]) -> str:
    """The page's generated part: tables and figures of every such run, or how to make one."""
    if not sets:
        return "**Not run.** The command that would, with silver labels in a folder of that name:\n\n" + command(
            "make runs DATA=/data/siim_silver PROFILE=paper"
        )
    tables = [_tables(title, found) for title, found in sets.items()]
    return "\n".join([*tables, *_figures(next(iter(sets.values())))])


def sentence(found: list[Record]) -> str:
    """What came out, in a sentence for the README."""
    top = records.best(found)
    seeds = records.by_pipeline(found)[top.name]
    dsc = pipelines.interval(seeds)
    return (
        f"*On real X-rays, {comparison.described(seeds)}*: {top.name} has a mean DSC of {interval_text(dsc)} {MEANING}. Empty "
        f"masks score {comparison.empty_text(seeds)} there. {comparison.brackets(seeds)} The book "
        "shows these runs on a page of their own."
    )


def stages(found: list[Record]) -> pd.DataFrame:
    """One row per stage of a run: its size, epochs and scores on validation."""
    rows = {}
    for record in found:
        for one in pipelines.own_stages(record):
            number, scores = one["settings"]["stage"], one["validation"]
            settings = record.values["experiment"]["stages"][number - 1]
            rows[f"{_name(record)}, stage {number}"] = {
                "pixels": settings["image_size"],
                "epochs": settings["epochs"],
            } | {
                title: comparison.number(scores.get(key), 3)
                for title, key in (
                    ("mean DSC", "val_dsc"),
                    ("positive-only DSC", "val_positive_dsc"),
                    ("IoU", "val_iou"),
                    ("stepwise IoU", "val_stepwise_iou"),
                )
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def tested(found: list[Record]) -> pd.DataFrame:
    """One column per pipeline: its images, and its scores on test with 95 % intervals."""
    columns = {}
    for name, seeds in records.by_pipeline(found).items():
        columns[name] = {
            "X-rays (positive)": _numbers(seeds[0]),
            "mean DSC": interval_text(pipelines.interval(seeds)),
            "gain over empty masks": interval_text(pipelines.gain_over_empty(seeds)),
        } | {title: text for title, text in comparison.tested(seeds).items() if title != "mean DSC"}
    return pd.DataFrame(columns)


def _numbers(record: Record) -> str:
    split = record.values["split"]
    return ", ".join(f"{subset} {n:,} ({split['positive'][subset]:,})" for subset, n in split["images"].items())


def draw(sets: dict[str, list[Record]]) -> Iterator[tuple[str, Figure]]:
    """(file name, figure) of the first set: what became of its test images, and each run's learning curves."""
    if found := next(iter(sets.values()), []):
        yield "silver-outcomes.svg", published_figures.outcomes(found)
    for record in found:
        yield from both(_curves(record), score_figures.curves, record.history, f"{record.name}, {record.label}")


def _tables(title: str, found: list[Record]) -> str:
    label = f"{title}, {comparison.described(found)}"
    return "\n".join(
        [
            table(stages(found), f"After each stage, on validation images ({label}).", "run"),
            table(tested(found), f"On test images ({label}), {MEANING}. In brackets: 95 % intervals.", "score"),
        ]
    )


def _figures(found: list[Record]) -> list[str]:
    alt = (
        "Top, for each run, how many test images are true positive, false negative, false positive and true negative. "
        "Bottom, the DSC of the images with a pneumothorax from the best to the worst."
    )
    drawn = [figure("silver-outcomes.svg", alt, f"The test images ({comparison.label(found)}), {MEANING}.")]
    for record in found:
        alt = f"Four panels over the epochs of {record.name}: loss, DSC and IoU on validation, learning rate."
        lost = [str(number) for number in _stages_without_history(record)]
        said = f" The epochs of stage {', '.join(lost)} were not kept." if lost else ""
        drawn.append(figure(_curves(record), alt, f"Learning curves of {record.name} ({record.label}).{said}"))
    return drawn


def _stages_without_history(record: Record) -> list[int]:
    """Numbers of the stages of which the record has no epoch."""
    return sorted(set(range(1, len(record.values["experiment"]["stages"]) + 1)) - set(record.history["stage"]))


def _curves(record: Record) -> str:
    return f"silver-{record.values['data']}-{record.name}-seed{record.values['seed']}-curves.svg"


def _name(record: Record) -> str:
    return f"{record.name}, seed {record.values['seed']}"
