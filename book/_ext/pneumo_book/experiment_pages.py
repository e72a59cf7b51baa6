"""One page per pipeline, all from the template book/experiments/template.md; notes.yml has what records cannot say."""

from pathlib import Path

import jinja2
import pandas as pd
import yaml

from pneumo_book import comparison, launch, markdown
from pneumo_lib import experiments, paths, records
from pneumo_lib import published as paper
from pneumo_lib.records import Record
from pneumo_lib.report import pipelines, tables

_TITLES = {
    "channels": "input channels",
    "binarization_threshold": "validation threshold (B-TH while training)",
    "stages": "stages",
    "starts_from": "first stage taken from",
    "averaged_epochs": "averaged epochs (SWA)",
}


def pages(sets: dict[str, list[Record]], folder: Path) -> dict[str, str]:
    """Name of an experiment → its page."""
    template = jinja2.Template(
        (folder / "template.md").read_text(encoding="utf-8"), undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    notes = yaml.safe_load((folder / "notes.yml").read_text(encoding="utf-8"))
    names = list(experiments.EXPERIMENTS)
    return {
        name: template.render(
            name=name,
            question=experiments.get(name).question,
            before=names[position - 1] if position else None,
            pipeline=_pipeline(name, names[position - 1] if position else None),
            claims=_claims(name),
            results=_results(name, sets),
            measured=measured(name, sets),
            gallery=gallery(name, sets) is not None,
            cost=_cost(name, sets),
            starts_from=experiments.get(name).starts_from,
            executed=_executed(name),
            launch=launch.line("train"),
            **notes[name],
        )
        + "\n"
        for position, name in enumerate(names)
    }


def _executed(name: str) -> bool:
    """Whether the book shows the executed notebooks of the experiment."""
    places = [place for place in (comparison.run_folder(), paths.home() / "results") if place]
    return any(any(place.rglob(f"{name}/seed*/test.ipynb")) for place in places)


def _pipeline(name: str, before: str | None) -> str:
    """The settings that differ from those of the pipeline before; all settings of the first one."""
    experiment = experiments.get(name)
    if before:
        changed = experiments.differences(experiment, experiments.get(before))
        rows = {
            _TITLES.get(key, key): {
                before: tables.text(getattr(experiments.get(before), key)),
                name: tables.text(getattr(experiment, key)),
            }
            for key in changed
        }
        return markdown.table(
            pd.DataFrame.from_dict(rows, orient="index"),
            f"What differs from {before}, at the paper's scale.",
            "setting",
        )
    rows = {title: {name: tables.text(getattr(experiment, key))} for key, title in _TITLES.items()}
    return markdown.table(
        pd.DataFrame.from_dict(rows, orient="index"), f"The settings of {name}, at the paper's scale.", "setting"
    )


def _claims(name: str) -> str:
    sentences = []
    for number in range(1, len(experiments.get(name).stages) + 1):
        found = paper.values(f"stage{number}_iou", name)
        sentences.append(f"after stage {number} an IoU of {found['paper']:.4f} (paper) and {found['deck']:.4f} (deck)")
    return " and ".join(sentences)


def measured(name: str, sets: dict[str, list[Record]]) -> Record | None:
    """The record whose curves and gallery the page shows: the first seed in the first set with this pipeline."""
    return next((record for found in sets.values() for record in found if record.name == name), None)


def gallery(name: str, sets: dict[str, list[Record]]) -> bytes | None:
    """PNG with the rows original, ground truth, predicted of the page's run, if there is one."""
    record = measured(name, sets)
    kept = record.folder / "gallery.png" if record else None
    return kept.read_bytes() if kept and kept.is_file() else None


def _results(name: str, sets: dict[str, list[Record]]) -> str:
    """paper | deck | ours, one table per set of records."""
    text = []
    for title, found in (sets or {"ours": []}).items():
        mine = records.by_pipeline(found).get(name, [])
        rows = {}
        for number in range(1, len(experiments.get(name).stages) + 1):
            rows |= _stage_rows(name, number, mine)
        if mine:
            rows |= _test_rows(mine)
        caption = (
            f"Paper and deck: challenge data, 256 and 512 pixels. Ours, {title}: {comparison.described(mine)}. In brackets: 95 "
            "% intervals; the validation scores without brackets have none, as they are one number per run."
        )
        shown = comparison.without_blank_columns(pd.DataFrame.from_dict(rows, orient="index").fillna("–"))
        text.append(markdown.table(shown, caption, "score") + comparison.departures(mine))
    return "\n".join(text)


def _stage_rows(name: str, number: int, mine: list[Record]) -> dict[str, dict]:
    """Rows of a stage; one that another pipeline trained is named once, and its numbers stand on that pipeline's page."""
    published = paper.values(f"stage{number}_iou", name)
    sources = {source: comparison.number(published.get(source), 4) for source in ("paper", "deck")}
    row, what = comparison.stage_row(mine, number), f"IoU, stage {number}, validation"
    if not row or comparison.stage_owner(mine, number) != name:
        return {what: sources | {"ours": row.get("ours: stepwise IoU", comparison.NOT_RUN)}}
    more = {"SD over seeds": row["SD over seeds"], "seeds": row["seeds"], "pixels": row["pixels"]}
    plain = {"ours": row["ours: IoU"], "seeds": row["seeds"], "pixels": row["pixels"]}
    return {
        f"{what} (ours: stepwise)": sources | {"ours": row["ours: stepwise IoU"]} | more,
        f"{what} (ours: plain)": sources | plain,
    }


def _test_rows(mine: list[Record]) -> dict[str, dict]:
    row = comparison.tested(mine)
    more = {"seeds": str(len(mine)), "pixels": row["pixels"]}
    titles = (
        "stepwise IoU",
        "IoU",
        "mean DSC",
        "positive-only DSC",
        "deck's IoU row",
        "deck's DSC row",
        "selection gap",
    )
    rows = {f"{title}, test": {"ours": row[title]} | more for title in titles}
    rows["mean DSC, test"]["SD over seeds"] = row["SD over seeds"]
    return rows | {"mean DSC of empty masks, test": {"ours": row["empty masks"]} | more}


def _cost(name: str, sets: dict[str, list[Record]]) -> str:
    record = measured(name, sets)
    if record is None:
        return "Not run here, so no time was measured."
    own = pipelines.own_stages(record)
    minutes = sum(one["cost"]["seconds_training"] for one in own) / 60
    cost = own[-1]["cost"]
    threads = cost["threads"]
    cores = f"{threads} CPU core{'s' if threads > 1 else ''}" if cost["device"] == "cpu" else cost["device"]
    return f"Training took {minutes:.1f} minutes on {cores} ({record.label})."
