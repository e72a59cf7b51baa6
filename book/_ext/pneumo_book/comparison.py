"""Paper, deck and this run side by side: the tables of the book and the README, and how far seeds lie apart.

Brackets are 95 % intervals of `pneumo_lib.report.pipelines`; the standard deviation over seeds has a column of its own.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_book.markdown import command, table
from pneumo_lib import experiments, paths, profiles, records
from pneumo_lib import published as paper
from pneumo_lib.experiments import EXPERIMENTS
from pneumo_lib.records import Record
from pneumo_lib.report import pipelines
from pneumo_lib.report.pipelines import DECK_DSC, DECK_IOU, EMPTY
from pneumo_lib.report.style import interval_text

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
    """IoU after a stage: paper, deck, and this run's on validation with the empty-mask baseline of the same images.

    Ours come in two readings, stepwise and plain, because the deck does not say which it reports. After a pipeline's last
    stage validation images are scored with the thresholds chosen on them too, image by image, so that this score has an
    interval. A first stage that is another pipeline's is named, not shown again.
    """
    rows, seeds = {}, records.by_pipeline(found)
    for name in EXPERIMENTS:
        published = paper.values(f"stage{stage}_iou", name)
        row = stage_row(seeds.get(name, []), stage)
        if published or row:
            rows[name] = {source: number(published.get(source), 4) for source in ("paper", "deck")} | row
    return pd.DataFrame.from_dict(rows, orient="index").fillna(NOT_RUN if not found else "–")


def stage_row(seeds: list[Record], stage: int) -> dict[str, str]:
    """One pipeline's scores after a stage; empty where it has no such stage, or was not run."""
    title = "ours: stepwise IoU"
    owner = stage_owner(seeds, stage)
    if owner is None:
        return {}
    if owner != seeds[0].name:
        return {title: f"{owner}'s first stage"}
    scores = [_stage(record, stage)["validation"] for record in seeds]
    row = {
        title: mean_text([one["val_stepwise_iou"] for one in scores]),
        "SD over seeds": sd_text([one["val_stepwise_iou"] for one in scores]),
        "ours: IoU": mean_text([one["val_iou"] for one in scores]),
    }
    last = len(seeds[0].values["stages"]) == stage
    chosen = pipelines.interval(seeds, "stepwise_iou", subset="validation") if last else None
    return row | {
        "stepwise IoU, chosen thresholds": interval_text(chosen),
        "empty masks": number(_share_empty(seeds[0]), 3),
        "pixels": str(seeds[0].values["experiment"]["stages"][stage - 1]["image_size"]),
        "interval over": over(chosen),
        "seeds": str(len(seeds)),
    }


def stage_owner(seeds: list[Record], stage: int) -> str | None:
    """The pipeline that trained a stage of these records: their own, or the one they start from; None without the stage."""
    one = _stage(seeds[0], stage) if seeds else None
    return one["settings"]["experiment"]["name"] if one else None


def _stage(record: Record, stage: int) -> dict | None:
    return next((one for one in record.values["stages"] if one["settings"]["stage"] == stage), None)


def _share_empty(record: Record) -> float:
    split = record.values["split"]
    return 1 - split["positive"]["validation"] / split["images"]["validation"]


def test_table(found: list[Record]) -> pd.DataFrame:
    """The headline with its intervals next to the deck's two rows, the empty-mask baseline and the selection gap.

    The deck's IoU row has flip, B-TH and R-TH, chosen on the images it is scored on over the deck's grid; its DSC row has flip
    and the pipeline's B-TH, without removal.
    """
    iou, dsc = (paper.values("test", name) for name in ("iou", "dsc"))
    rows = {
        source: {
            "mean DSC": "–",
            "deck's IoU row": f"{number(iou[source], 4)}{MARK if source == 'paper' else ''}",
            "deck's DSC row": number(dsc[source], 4),
        }
        for source in ("paper", "deck")
    }
    for name, seeds in _in_order(found):
        rows[name] = tested(seeds)
    columns = list(dict.fromkeys([*(tested(found[:1]) if found else {}), *rows["paper"]]))
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns).fillna("–")


MARK = "\u00a0†"
MARK_MEANS = (
    "†: this number equals the paper's IoU of exp5 after stage 2, so it was probably measured on validation images."
)


def tested(seeds: list[Record]) -> dict[str, str]:
    """A pipeline's row of the test table."""
    headline = pipelines.interval(seeds)
    return {
        "mean DSC": interval_text(headline),
        "SD over seeds": number(headline.seed_sd, 3) if headline and len(seeds) > 1 else "–",
        "positive-only DSC": interval_text(pipelines.interval(seeds, "positive_dsc")),
        "IoU": interval_text(pipelines.interval(seeds, "iou")),
        "stepwise IoU": interval_text(pipelines.interval(seeds, "stepwise_iou")),
        "deck's IoU row": interval_text(pipelines.interval(seeds, "iou", DECK_IOU)),
        "deck's DSC row": interval_text(pipelines.interval(seeds, "dsc", DECK_DSC)),
        "empty masks": empty_text(seeds),
        "selection gap": interval_text(pipelines.selection_gap(seeds)),
        "pixels": pipelines.sizes(seeds[0]),
        "interval over": over(headline),
    }


def empty_text(seeds: list[Record]) -> str:
    """The empty-mask baseline of a pipeline's test images."""
    found = pipelines.interval(seeds, protocol=EMPTY)
    return "–" if found is None else f"{found.value:.3f}"


def pairs_table(found: list[Record]) -> pd.DataFrame:
    """Each pipeline minus the one before it on the same test images: mean DSC, adjusted by Holm over all pairs."""
    seeds = records.by_pipeline(found)
    rows = {}
    for (after, before), one in pipelines.compare(seeds, pipelines.neighbours(seeds)).items():
        gain = one.difference.interval
        rows[f"{after}\u00a0\u2212\u00a0{before}"] = {
            "gain in mean DSC": interval_text(gain),
            "p, Holm": f"{one.p:.3f}" if one.p >= 0.001 else "< 0.001",
            "distinguishable": "yes" if one.distinguishable else "no",
            "SD over seeds": number(gain.seed_sd, 3),
            "images": f"{gain.n_images:,}",
            "interval over": over(gain),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def answer_table(found: list[Record]) -> pd.DataFrame:
    """One row per pipeline: IoU after its last stage (paper, deck), and ours on test with the empty-mask baseline."""
    rows, seeds = {}, records.by_pipeline(found)
    for name, experiment in EXPERIMENTS.items():
        published = paper.values(f"stage{len(experiment.stages)}_iou", name)
        rows[name] = {f"{source}: IoU": number(published.get(source), 4) for source in ("paper", "deck")}
        row = tested(seeds[name]) if name in seeds else {}
        for title in ("stepwise IoU", "mean DSC", "SD over seeds", "positive-only DSC", "empty masks", "pixels"):
            rows[name][f"ours: {title}"] = row.get(title, NOT_RUN)
    return without_blank_columns(pd.DataFrame.from_dict(rows, orient="index"))


def without_blank_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the columns that hold only dashes, such as the SD of one seed, of which the caption says that it is one."""
    return frame.loc[:, ~(frame == "–").all()]


def _in_order(found: list[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Name and seeds of each pipeline, those of the registry first."""
    seeds = records.by_pipeline(found)
    for name in dict.fromkeys([*EXPERIMENTS, *seeds]):
        if name in seeds:
            yield name, seeds[name]


def described(found: list[Record], subset: str = "test") -> str:
    """For a caption: data, profile, seeds, and the numbers of images and patients."""
    return f"{label(found)}; {pipelines.counts(found, subset)}" if found else label(found)


def departures(found: list[Record]) -> str:
    """What the profiles of these records change of the method, as Markdown below a table that compares with the paper."""
    lines = []
    for profile in dict.fromkeys(record.values["experiment"]["profile"] for record in found):
        names = dict.fromkeys(one.name for one in found if one.values["experiment"]["profile"] == profile)
        changed = pd.concat([profiles.departures(experiments.get(name, profile)) for name in names])
        if len(changed):
            settings = "; ".join(_changed(changed.loc[[name]], name) for name in dict.fromkeys(changed.index))
            lines.append(
                f"\n*What the profile {profile} changes of the method (in brackets: the paper's scale):* {settings}.\n"
            )
    return "".join(lines)


def _changed(rows: pd.DataFrame, name: str) -> str:
    here, there = (" or ".join(dict.fromkeys(rows[column].astype(str))) for column in ("here", "paper's scale"))
    return f"{name} {here} ({there})"


def brackets(found: list[Record]) -> str:
    """What the brackets of these records' test scores are, as a sentence; empty without records."""
    intervals = [pipelines.interval(seeds) for seeds in records.by_pipeline(found).values()]
    some = dict.fromkeys(over(one) for one in intervals if one and not one.refused)
    if some:
        return f"In brackets: 95 % intervals over {' or '.join(some)}."
    none = dict.fromkeys(one.refused for one in intervals if one)
    return f"There are no intervals: {' or '.join(none)}." if none else ""


def over(interval) -> str:
    """What an interval is over: "120 patients and 6 seeds", "120 patients, one seed"; or why there is none."""
    if interval is None:
        return "–"
    return f"none: {interval.refused}" if interval.refused else interval.basis.removeprefix("over ")


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
    """A number, or a dash where there is none."""
    return "–" if value is None or np.isnan(value) else f"{value:.{digits}f}"


def mean_text(values: list[float]) -> str:
    """Mean over seeds, without an interval."""
    values = [value for value in values if value is not None]
    return f"{np.mean(values):.3f}" if values else NOT_RUN


def sd_text(values: list[float]) -> str:
    """Standard deviation over seeds; a dash for one."""
    return number(float(np.std(values, ddof=1)), 3) if len(values) > 1 else "–"


def repeats(found: list[Record]) -> pd.DataFrame:
    """One row per score of each pipeline that has several seeds: its value by seed, the standard deviation and the range."""
    rows = {}
    for name, mine in _in_order(found):
        if len(mine) < 2:
            continue
        for title, values in _values(mine).items():
            rows[f"{name}: {title}"] = {
                f"seed {record.values['seed']}": number(value, 3) for record, value in zip(mine, values, strict=True)
            } | {"SD": sd_text(values), "range": number(max(values) - min(values), 3)}
    return pd.DataFrame.from_dict(rows, orient="index").fillna("–")


def _values(mine: list[Record]) -> dict[str, list[float]]:
    found = pipelines.seed_scores(mine)
    last = [record.values["stages"][-1]["validation"]["val_stepwise_iou"] for record in mine]
    values = {
        "stepwise IoU, validation, last stage": last,
        "mean DSC, test": found.values.mean(axis=1).tolist(),
    }
    if found.positive.any():
        values["positive-only DSC, test"] = found.values[:, found.positive].mean(axis=1).tolist()
    return values


def repeats_block(sets: dict[str, list[Record]]) -> str:
    """The table of each set of records with repeats, or how to make one."""
    made = {described(found): repeats(found) for found in sets.values()}
    tables = [
        table(frame, f"Runs of one configuration that differ only in the seed ({title}).", "pipeline and score")
        for title, frame in made.items()
        if len(frame)
    ]
    return "\n".join(tables) or "**Not run** with a second seed. The command that would:\n\n" + command(
        "make runs SEED=1"
    )
