"""Paper, deck and this run side by side: the tables of the book and the README, and how far seeds lie apart."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_book.markdown import command, table
from pneumo_lib import metrics, paths, records
from pneumo_lib import published as paper
from pneumo_lib.evaluation import scores
from pneumo_lib.experiments import EXPERIMENTS
from pneumo_lib.records import Record
from pneumo_lib.report import style

NOT_RUN = "not run"


def run_folder() -> Path | None:
    """The folder of one's own runs that the environment variable PNEUMO_RECORDS names, if it does."""
    folder = os.environ.get("PNEUMO_RECORDS")
    return paths.given(folder) if folder else None


def shown_sets(silver: bool = False) -> dict[str, list[Record]]:
    """The records that the book shows, by where they come from; one's own, where there are any, come first.

    `this run`: those of the folder PNEUMO_RECORDS; `committed run`: those in `results/`, which join one's own where both have
    the same scores. Scores against silver labels are never among the others: they are shown apart, with `silver=True`.
    """
    everything = records.find(run_folder()) if run_folder() else [], records.find(paths.results())
    own, kept = ([record for record in found if record.silver == silver] for found in everything)
    mine = {(record.name, record.label): record.values["test"] for record in own}
    theirs = {(record.name, record.label): record.values["test"] for record in kept}
    both = mine.keys() & theirs.keys()
    if both and all(mine[key] == theirs[key] for key in both):
        own, kept = own + [record for record in kept if (record.name, record.label) not in both], []
        own.sort(key=lambda record: (record.name, record.values["seed"]))
    return {title: found for title, found in (("this run", own), ("committed run", kept)) if found}


def stage_table(found: list[Record], stage: int) -> pd.DataFrame:
    """IoU after a stage: paper, deck, and this run's on validation with its blank baseline.

    Ours come in two readings, stepwise and plain, because the deck does not say which it reports. Several seeds give their
    mean with the range behind it.
    """
    rows = {}
    for name in EXPERIMENTS:
        published = paper.values(f"stage{stage}_iou", name)
        mine = [stage_scores(record, stage) for record in found if record.name == name]
        mine = [one for one in mine if one is not None]
        if not published and not mine:
            continue
        rows[name] = {"paper": number(published.get("paper"), 4), "deck": number(published.get("deck"), 4)} | {
            title: spread([one[key] for one in mine])
            for title, key in (
                ("ours, stepwise IoU", "val_stepwise_iou"),
                ("ours, IoU", "val_iou"),
                ("ours, blank", "blank"),
            )
        }
        rows[name]["seeds"] = len(mine)
    return pd.DataFrame.from_dict(rows, orient="index")


def stage_scores(record: Record, stage: int) -> dict | None:
    """Validation scores after a stage of a record; exp3's first stage is exp2's, and is shown there only."""
    for one in record.values["stages"]:
        if one["settings"]["stage"] == stage:
            split = record.values["split"]
            blank = 1 - split["positive"]["validation"] / split["images"]["validation"]
            return one["validation"] | {"blank": blank}
    return None


def test_table(found: list[Record]) -> pd.DataFrame:
    """The deck's test table: IoU with thresholds and mean DSC without removal; ours with intervals or ranges, see `_tested`."""
    deck = {name: paper.values("test", name) for name in ("iou", "dsc")}
    rows = {
        source: {
            "mean DSC": number(deck["dsc"][source], 4),
            "predict nothing": "–",
            "positive-only DSC": "–",
            "IoU": number(deck["iou"][source], 4),
        }
        for source in ("paper", "deck")
    }
    for name in dict.fromkeys([*EXPERIMENTS, *(record.name for record in found)]):
        mine = [record for record in found if record.name == name]
        if mine:
            rows[name if len(mine) == 1 else f"{name} ({len(mine)} seeds)"] = _tested(mine)
    return pd.DataFrame.from_dict(rows, orient="index").fillna("–")


def _tested(seeds: list[Record]) -> dict[str, str]:
    """A row of the test table: one seed with 95 % intervals, several with the mean of the seeds and their range."""
    ways = [record.values["test"] for record in seeds]
    row = {
        "mean DSC": seeds_text([way[records.HEADLINE]["scores"]["dsc"] for way in ways]),
        "predict nothing": spread([way[scores.BLANK]["scores"]["dsc"][0] for way in ways]),
    }
    for title, key in (("positive-only DSC", "positive_dsc"), ("IoU", "iou"), ("stepwise IoU", "stepwise_iou")):
        row[title] = seeds_text([way[records.HEADLINE]["scores"][key] for way in ways])
    return row | {"optimism": seeds_text([record.values["optimism"] for record in seeds])}


def pairs_table(found: list[Record]) -> pd.DataFrame:
    """Each pipeline against the one before it on the same test images: mean DSC gained, with a paired 95 % interval.

    Every image counts with its mean over the seeds; patients are drawn, pairs stay together.
    """
    rows, names = {}, [name for name in EXPERIMENTS if any(record.name == name for record in found)]
    for before, after in zip(names, names[1:], strict=False):
        both = records.side_by_side(found, after, before)
        if len(both):
            gain = metrics.paired_bootstrap(both["dsc"], both["dsc_other"], both["patient_id"])
            rows[f"{after}\u00a0\u2212\u00a0{before}"] = {
                "gain in mean DSC": style.interval_text(gain),
                "images": len(both),
                "tells them apart": "yes" if gain.low > 0 or gain.high < 0 else "no",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def answer_table(found: list[Record]) -> pd.DataFrame:
    """The whole answer, one row an experiment: IoU after its last stage (paper, deck), and ours on test with the blank."""
    rows = {}
    for name, experiment in EXPERIMENTS.items():
        published = paper.values(f"stage{len(experiment.stages)}_iou", name)
        mine = [record for record in found if record.name == name]
        rows[name] = {
            "paper: IoU": number(published.get("paper"), 4),
            "deck: IoU": number(published.get("deck"), 4),
        }
        for title, key in (
            ("stepwise IoU", "stepwise_iou"),
            ("mean DSC", "dsc"),
            ("positive-only DSC", "positive_dsc"),
        ):
            values = [record.values["test"][records.HEADLINE]["scores"][key] for record in mine]
            rows[name][f"ours: {title}"] = seeds_text(values)
        blanks = {_mean(record.values["test"][scores.BLANK]["scores"]["dsc"]) for record in mine}
        rows[name]["ours: predict nothing"] = ", ".join(sorted(blanks)) or NOT_RUN
    return pd.DataFrame.from_dict(rows, orient="index")


def label(found: list[Record]) -> str:
    """What "ours" is, for a caption: data, profile and seeds of the records, or that nothing was run."""
    if not found:
        return "not run: make book"
    data = sorted({record.label.rpartition(", seed")[0] for record in found})
    seeds = {name: {r.values["seed"] for r in found if r.name == name} for name in sorted({r.name for r in found})}
    common = set.intersection(*seeds.values()) or set.union(*seeds.values())
    more = [f"; {name} also {_listed(own - common)}" for name, own in seeds.items() if own - common]
    return f"{'; '.join(data)}; seed{'s' if len(common) > 1 else ''} {_listed(common)}{''.join(more)}"


def _listed(seeds: set[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))


def number(value: float | None, digits: int) -> str:
    """A number, or a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


def _mean(interval) -> str:
    return "–" if interval is None else f"{interval[0]:.3f}"


def seeds_text(intervals: list) -> str:
    """One seed's mean with its 95 % interval; several seeds' mean with their range."""
    return style.interval_text(intervals[0]) if len(intervals) == 1 else spread([one[0] for one in intervals if one])


def spread(values: list[float]) -> str:
    """Mean, and the range over seeds where they differ."""
    values = [value for value in values if value is not None]
    if not values:
        return NOT_RUN
    spread = f" ({min(values):.3f}–{max(values):.3f})" if len(set(values)) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def distances(found: list[Record]) -> pd.DataFrame:
    """One row a score of each pipeline that has several seeds: its value by seed, and the largest less the smallest."""
    rows = {}
    for name in EXPERIMENTS:
        mine = [record for record in found if record.name == name]
        if len(mine) < 2:
            continue
        for title, values in _values(mine).items():
            rows[f"{name}: {title}"] = {
                f"seed {record.values['seed']}": number(value, 3) for record, value in zip(mine, values, strict=True)
            } | {"distance": number(max(values) - min(values), 3)}
    return pd.DataFrame.from_dict(rows, orient="index").fillna("–")


def _values(mine: list[Record]) -> dict[str, list[float]]:
    honest = [record.values["test"][records.HEADLINE]["scores"] for record in mine]
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


def repeats_block(sets: dict[str, list[Record]]) -> str:
    """The table of each set of records with repeats, or how to make one."""
    made = {label(found): distances(found) for found in sets.values()}
    tables = [
        table(frame, f"Runs of one configuration that differ in the seed alone ({title}).", "pipeline and score")
        for title, frame in made.items()
        if len(frame)
    ]
    return "\n".join(tables) or "**Not run** with a second seed. The command that would:\n\n" + command(
        "make runs SEED=1"
    )
