"""Runs tested on X-rays with radiologists' masks: an external test set that had no say in any choice."""

import pandas as pd

from pneumo_book import comparison
from pneumo_book.markdown import command, table
from pneumo_lib import metrics, paths, records
from pneumo_lib.records import Record
from pneumo_lib.report import pipelines
from pneumo_lib.report.style import interval_text

SIZES = ((1, 1024), (1024, 3072), (3072, 512**2 + 1))
"""Areas of the true mask in pixels of the common grid, from and below: the deck's smallest R-TH, and its best."""


def shown() -> list[Record]:
    """Records of external test sets on X-rays of patients: one's own, or else those of `results/`."""
    for folder in (comparison.run_folder(), paths.results()):
        found = records.find(folder, kind="external") if folder else []
        if real := [record for record in found if not record.values["synthetic"]]:
            return real
    return []


def block(found: list[Record]) -> str:
    """The page's generated part: scores with their counts, and where the model fails; or how to get them."""
    if not found:
        return "**Not run.** The command that would, after a training:\n\n" + command(
            "pneumo test --exp exp4 --data /data/siim --profile real --test-data /data/nih --test-patients map.csv"
        )
    return "\n".join(text for some in _by_test_set(found) for text in _tables(some))


def _by_test_set(found: list[Record]) -> list[list[Record]]:
    """The records of each set of test images, which alone can be compared; the largest set first."""
    sets: dict[str, list[Record]] = {}
    for record in found:
        sets.setdefault(record.values["tested_on"]["data"], []).append(record)
    return sorted(sets.values(), key=lambda some: -some[0].values["tested_on"]["images"])


def _tables(found: list[Record]) -> list[str]:
    tested = found[0].values["tested_on"]
    patients = f", {tested['patients']:,} patients" if tested["patients"] else ""
    caption = (
        f"Radiologists' masks: {tested['images']:,} X-rays ({tested['positive']:,} positive{patients}), "
        f"{comparison.label(found)}. Thresholds were chosen on the validation images of the training data. In brackets: 95 % "
        "intervals."
    )
    sizes = (
        "Positive images by the area of the true mask, in pixels of the 512 x 512 grid. In brackets: 95 % intervals."
    )
    return [table(scores(found), caption, "score"), table(by_size(found), sizes, "true area")]


def sentence(found: list[Record]) -> str:
    """What came out on the largest test set, in a sentence for the front page and the README; empty without a run."""
    if not found:
        return ""
    (name, seeds), *_ = records.by_pipeline(_by_test_set(found)[0]).items()
    tested = seeds[0].values["tested_on"]
    gain = pipelines.gain_over_empty(seeds)
    outcome = "more than empty masks" if gain.low > 0 else "not distinguishable from empty masks"
    return (
        f"**On {tested['images']:,} real X-rays with radiologists' masks** ({tested['positive']:,} positive; {_seeds(seeds)}), "
        f"{name} has a mean DSC of {interval_text(pipelines.interval(seeds))}, {outcome} (gain {interval_text(gain)}), a "
        f"positive-only DSC of {interval_text(pipelines.interval(seeds, 'positive_dsc'))} and an AUROC of "
        f"{interval_text(auroc(seeds))}. It was trained on silver labels, another model's masks. In brackets: 95 % intervals."
    )


def scores(found: list[Record]) -> pd.DataFrame:
    """One column per pipeline: every score with its interval."""
    return pd.DataFrame({name: _scores(seeds) for name, seeds in records.by_pipeline(found).items()})


def _scores(seeds: list[Record]) -> dict[str, str]:
    frames = [record.per_image for record in seeds]
    positive = frames[0]["truth_px"].to_numpy() > 0
    called = [frame["predicted_px"].to_numpy() > 0 for frame in frames]
    patients = frames[0]["patient_id"].to_numpy()
    return {
        "mean DSC": interval_text(pipelines.interval(seeds)),
        "empty masks": comparison.empty_text(seeds),
        "gain over empty masks": interval_text(pipelines.gain_over_empty(seeds)),
        "positive-only DSC": interval_text(pipelines.interval(seeds, "positive_dsc")),
        "positive-only DSC, the pipeline's B-TH, no removal": interval_text(
            pipelines.interval(seeds, "positive_dsc", "no_removal")
        ),
        "AUROC, highest probability": interval_text(auroc(seeds)),
        "AUROC, mean of the highest 1 %": interval_text(auroc(seeds, "top_percent_mean")),
        "sensitivity": interval_text(metrics.proportion_interval(called, patients, positive)),
        "specificity": interval_text(metrics.proportion_interval([~one for one in called], patients, ~positive)),
        "seeds": _seeds(seeds),
    }


def auroc(seeds: list[Record], score: str = "max_probability") -> metrics.Interval:
    """AUROC of a score that is there before any threshold."""
    first = seeds[0].per_image
    values = [record.per_image[score].to_numpy() for record in seeds]
    return metrics.auroc_interval(values, first["truth_px"].to_numpy() > 0, first["patient_id"].to_numpy())


def by_size(found: list[Record]) -> pd.DataFrame:
    """Positive-only DSC of small, middle and large masks, the headline and the pipeline's B-TH without removal."""
    rows = {}
    for name, seeds in records.by_pipeline(found).items():
        area = seeds[0].per_image["truth_px"].to_numpy()
        for low, below in SIZES:
            here = (area >= low) & (area < below)
            title = f"{name}: {low:,} to {below - 1:,}" if below <= 3072 else f"{name}: {low:,} and more"
            rows[title] = {"images": int(here.sum())} | {
                column: interval_text(_mean(seeds, protocol, here)) if here.any() else "–"
                for column, protocol in (("DSC", records.HEADLINE), ("DSC without removal", "no_removal"))
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def _mean(seeds: list[Record], protocol: str, where) -> metrics.Interval:
    found = pipelines.seed_scores(seeds, "dsc", protocol)
    return metrics.mean_interval(found.values, found.patients, where)


def _seeds(seeds: list[Record]) -> str:
    return "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
