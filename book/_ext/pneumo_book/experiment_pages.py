"""One page per pipeline, all from the template book/experiments/template.md; notes.yml has what records cannot say."""

from pathlib import Path

import jinja2
import pandas as pd
import yaml

from pneumo_book import comparison, launch, markdown
from pneumo_lib import experiments, paths, records
from pneumo_lib import published as paper
from pneumo_lib.evaluation import scores
from pneumo_lib.records import Record
from pneumo_lib.report import tables

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
    """paper | deck | ours | seeds, one table per set of records."""
    text = []
    for title, found in (sets or {"ours": []}).items():
        mine = [record for record in found if record.name == name]
        rows = {}
        for number in range(1, len(experiments.get(name).stages) + 1):
            published = paper.values(f"stage{number}_iou", name)
            values = [comparison.stage_scores(record, number) for record in mine]
            values = [one for one in values if one]
            what, sizes = f"stage {number}, validation", _sizes(number, mine)
            rows[f"IoU, {what} (ours: stepwise{sizes})"] = _row([one["val_stepwise_iou"] for one in values], published)
            rows[f"IoU, {what} (ours: plain{sizes})"] = _row([one["val_iou"] for one in values], published)
        for metric, label in (
            ("stepwise_iou", "stepwise IoU"),
            ("iou", "IoU"),
            ("dsc", "mean DSC"),
            ("positive_dsc", "positive-only DSC"),
        ):
            values = [record.values["test"][records.HEADLINE]["scores"][metric] for record in mine]
            rows[f"{label}, test"] = _row([], {}) | {"ours": comparison.seeds_text(values), "seeds": len(mine)}
        blanks = [record.values["test"][scores.BLANK]["scores"]["dsc"][0] for record in mine]
        rows["mean DSC of an empty prediction, test"] = _row(blanks, {})
        behind = "their range over seeds" if len(mine) > 1 else "95 % bootstrap intervals over patients"
        ours = f"Ours, {title}: {comparison.label(mine)}. In brackets: {behind}."
        caption = f"Paper and deck: challenge data, 256 and 512 pixels. {ours}"
        text.append(markdown.table(pd.DataFrame.from_dict(rows, orient="index"), caption, "score"))
    return "\n".join(text)


def _sizes(number: int, mine: list[Record]) -> str:
    """The image sizes at which these runs had their stage `number`."""
    profiles = {(one.name, one.values["experiment"]["profile"]) for one in mine}
    sizes = sorted({experiments.get(*found).stages[number - 1].image_size for found in profiles})
    return "".join(f", {size} pixels" for size in sizes)


def _row(values: list[float], published: dict[str, float]) -> dict[str, str]:
    return {
        "paper": comparison.number(published.get("paper"), 4),
        "deck": comparison.number(published.get("deck"), 4),
        "ours": comparison.spread(values),
        "seeds": len(values),
    }


def _cost(name: str, sets: dict[str, list[Record]]) -> str:
    record = measured(name, sets)
    if record is None:
        return "Not run here, so no time was measured."
    own = [one for one in record.values["stages"] if one["settings"]["experiment"]["name"] == name]
    minutes = sum(one["cost"]["seconds_training"] for one in own) / 60
    cost = own[-1]["cost"]
    cores = f"{cost['threads']} CPU cores" if cost["device"] == "cpu" else cost["device"]
    return f"Training took {minutes:.1f} minutes on {cores} ({record.label})."
