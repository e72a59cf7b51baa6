"""The same pipeline with several seeds: how far apart runs of one configuration lie."""

import pandas as pd

from pneumo_lib.experiments import EXPERIMENTS
from pneumo_lib.report import comparison, scores
from pneumo_lib.report.markdown import command, table
from pneumo_lib.report.records import Record


def distances(found: list[Record]) -> pd.DataFrame:
    """One row a score of each pipeline that has several seeds: its value by seed, and the largest less the smallest."""
    rows = {}
    for name in EXPERIMENTS:
        mine = [record for record in found if record.name == name]
        if len(mine) < 2:
            continue
        for title, values in _values(mine).items():
            rows[f"{name}: {title}"] = {
                f"seed {record.values['seed']}": comparison.number(value, 3)
                for record, value in zip(mine, values, strict=True)
            } | {"distance": comparison.number(max(values) - min(values), 3)}
    return pd.DataFrame.from_dict(rows, orient="index").fillna("–")


def _values(mine: list[Record]) -> dict[str, list[float]]:
    honest = [record.values["test"][scores.HONEST]["scores"] for record in mine]
    values = {
        "stepwise IoU, validation, last stage": [
            r.values["stages"][-1]["validation"]["val_stepwise_iou"] for r in mine
        ],
        "mean DSC, test": [one["dsc"][0] for one in honest],
    }
    # The seeds share their test images: either all runs have a positive one, or none has.
    if all(one["positive_dsc"] for one in honest):
        values["positive-only DSC, test"] = [one["positive_dsc"][0] for one in honest]
    return values


def block(sets: dict[str, list[Record]]) -> str:
    """The table of each set of records with repeats, or how to make one."""
    made = {comparison.label(found): distances(found) for found in sets.values()}
    tables = [
        table(frame, f"Runs of one configuration that differ in the seed alone ({label}).", "pipeline and score")
        for label, frame in made.items()
        if len(frame)
    ]
    return "\n".join(tables) or "**Not run** with a second seed. The command that would:\n\n" + command(
        "make runs SEED=1"
    )
