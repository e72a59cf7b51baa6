"""Runs on real X-rays whose masks are silver labels, another model's predictions: shown apart from all others."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from pneumo_book import comparison, published_figures, verdict
from pneumo_book.markdown import command, figure, table
from pneumo_lib import records
from pneumo_lib.evaluation import scores
from pneumo_lib.records import Record
from pneumo_lib.report import score_figures, style

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
    honest, blank = (top.values["test"][way]["scores"]["dsc"] for way in (records.HEADLINE, scores.BLANK))
    return (
        f"*On real X-rays, {top.label}*: mean DSC {style.interval_text(honest)} {MEANING}. Predicting nothing scores "
        f"{blank[0]:.3f} there. The book shows these runs on a page of their own."
    )


def stages(found: list[Record]) -> pd.DataFrame:
    """One row a stage of a run: its images and its scores on validation."""
    rows = {}
    for record in found:
        for stage in record.values["stages"]:
            number, experiment = stage["settings"]["stage"], stage["settings"]["experiment"]
            mine = comparison.stage_scores(record, number)
            rows[f"{_name(record)}, stage {number}"] = {
                "pixels": experiment[f"stage{number}"]["image_size"],
                "epochs": experiment[f"stage{number}"]["epochs"],
            } | {
                title: comparison.number(mine.get(key), 3)
                for title, key in (
                    ("mean DSC", "val_dsc"),
                    ("positive-only DSC", "val_positive_dsc"),
                    ("IoU", "val_iou"),
                    ("stepwise IoU", "val_stepwise_iou"),
                    ("blank", "blank"),
                )
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def tested(found: list[Record]) -> pd.DataFrame:
    """One column a run: its images, and its scores on test with 95 % intervals."""
    columns = {}
    for record in found:
        split, test = record.values["split"], record.values["test"]
        honest = test[records.HEADLINE]["scores"]
        columns[_name(record)] = {
            "X-rays (positive)": ", ".join(
                f"{part} {n} ({split['positive'][part]})" for part, n in split["images"].items()
            ),
            "mean DSC": style.interval_text(honest["dsc"]),
            "gain over blank": style.interval_text(verdict.gain_over_blank([record])),
            "positive-only DSC": style.interval_text(honest["positive_dsc"]),
            "IoU": style.interval_text(honest["iou"]),
            "stepwise IoU": style.interval_text(honest["stepwise_iou"]),
            "mean DSC chosen on test": comparison.number(test[scores.AS_DECK]["scores"]["dsc"][0], 3),
            "blank": comparison.number(test[scores.BLANK]["scores"]["dsc"][0], 3),
        }
    return pd.DataFrame(columns)


def draw(sets: dict[str, list[Record]]) -> Iterator[tuple[str, Figure]]:
    """(file name, figure) of the first set: what became of its test images, and each run's learning curves."""
    if found := next(iter(sets.values()), []):
        yield "silver-outcomes.svg", published_figures.outcomes(found)
    for record in found:
        yield _curves(record), score_figures.curves(record.history, f"{record.name}, {record.label}")


def _tables(title: str, found: list[Record]) -> str:
    label = f"{title}, {comparison.label(found)}"
    return "\n".join(
        [
            table(stages(found), f"After each stage, on validation images ({label}).", "run"),
            table(tested(found), f"On test images ({label}), {MEANING}.", "score"),
        ]
    )


def _figures(found: list[Record]) -> list[str]:
    alt = (
        "Left, for each run, how many test images were found, missed, falsely marked and rightly left empty. "
        "Right, the DSC of the images with a pneumothorax from the best to the worst."
    )
    drawn = [figure("silver-outcomes.svg", alt, f"The test images ({comparison.label(found)}), {MEANING}.")]
    for record in found:
        alt = f"Four panels over the epochs of {record.name}: loss, DSC and IoU on validation, learning rate."
        drawn.append(figure(_curves(record), alt, f"Learning curves of {record.name} ({record.label})."))
    return drawn


def _curves(record: Record) -> str:
    return f"silver-{record.values['data']}-{record.name}-seed{record.values['seed']}-curves.svg"


def _name(record: Record) -> str:
    return f"{record.name}, seed {record.values['seed']}"
