"""Chapter "The claims, tested": tables and sentences from the records of the studies, as Markdown."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_book import comparison, launch
from pneumo_book.markdown import command, figure, table, typeset
from pneumo_lib import paths, published, studies, study_results
from pneumo_lib.hardware import PRECISION_TITLES
from pneumo_lib.metrics import Components, images_needed, seeds_needed
from pneumo_lib.records import Record
from pneumo_lib.report.style import interval_text
from pneumo_lib.studies import Study
from pneumo_lib.study_results import NOT_RESOLVED, NOT_RUN, Analysis, Result

PLAN_COMMIT = "9ed73d7"
"""The commit that wrote the plan, before the first run."""
SHORT = {
    "dsc": "mean DSC",
    "auroc": "AUROC",
    "positive_dsc": "positive-only DSC",
    "area": "area, positive-only DSC",
    "area_dsc": "area, mean DSC",
    "reach": f"compute to {studies.TARGET:.2f} (Mpx)",
}
"""Endpoint -> its short title."""
IN_TEXT = SHORT | {
    "area": "area under the validation curve of positive-only DSC",
    "reach": f"compute to a positive-only DSC of {studies.TARGET:.2f} (in megapixels, less is better)",
}
"""Endpoint -> its title in a sentence."""
BETTER, FASTER = ("dsc", "positive_dsc", "auroc"), ("area", "area_dsc", "reach")
HALVES = {"Better": BETTER, "Faster": FASTER}
"""Endpoints of the two halves of the abstract's claim, one figure each."""
CONVERGENCE = "claims-convergence.svg"
CLAIM = "2-Stage Training leads to better and faster network convergence"
RUN_IT = "**Not run.** `make study` runs the trainings that are missing; the next build of the book shows their results here.\n"
SIZES = (0.002, 0.005, 0.01, 0.02, 0.05)
"""Differences in mean DSC of the power page."""
SEEDS, DECK_IMAGES, HIDDEN_IMAGES = (3, 6, 20), 1_830, 3_205
"""Seeds per arm; the deck's test images, and the challenge's hidden ones."""


def folder() -> Path | None:
    """The folder whose studies the book shows; None where there are none.

    One's own come first: those of PNEUMO_RECORDS, or next to it (`runs/phantom-study`); then those of results/.
    """
    own = comparison.run_folder()
    mine = [own, *sorted(own.parent.glob("*-study"))] if own else []
    return _with_studies(mine) or published_folder()


def published_folder() -> Path | None:
    """The folder of results/ with studies; None where no folder has any."""
    return _with_studies([*sorted(paths.results().glob("*-study")), *sorted(paths.results().glob("*"))])


def _with_studies(places: list[Path]) -> Path | None:
    return next((one for one in places if any((one / "studies").glob("*/*/seed*/record.json"))), None)


def load() -> Analysis:
    """The analysis of the records that the book shows."""
    return study_results.analyse(folder())


def plan_commit() -> str:
    """The plan's commit, as a link where the repository's address is known."""
    at = launch.address()
    return f"[`{PLAN_COMMIT}`]({at.url}/commit/{PLAN_COMMIT})" if at else f"`{PLAN_COMMIT}`"


def exploratory() -> int:
    """The number of comparisons of the plan that are not primary."""
    return sum(not one.primary for planned in studies.STUDIES.values() for one in planned.comparisons)


def write_all(found: Analysis) -> dict[str, str]:
    """Every fragment of the chapter by the name of its file."""
    sections = {f"claims-{name}": section(results, found) for name, results in found.results.items()}
    return sections | {
        "claims-sentence": verdict_sentence(found) + "\n",
        "claims-status": status(found),
        "claims-worth": worth(found),
        "claims-power": power(found),
    }


def verdict_sentence(found: Analysis | None = None, page: str = "claims/claims.md") -> str:
    """What the study says of the abstract's claim: a paragraph for the front page.

    Args:
        found: None: of the records that the book shows.
        page: of the chapter, from where the sentence stands.
    """
    found = found or load()
    claim = f'**The abstract\'s claim**, "{CLAIM}", [is tested one ingredient at a time]({page})'
    primary = found.primary()
    if all(one.verdict == NOT_RUN for one in primary):
        return f"{claim}. **This was not run here**: `make study` runs it, on phantoms."
    halves = {kind: [one for one in primary if one.comparison.endpoint in some] for kind, some in HALVES.items()}
    parts = [f"*{kind}*: {_said(some)}." for kind, some in halves.items()]
    runs, planned = (" and ".join(map(str, counts)) for counts in (primary[0].seeds, primary[0].planned))
    of_plan = f" (the plan has {planned})" if primary[0].partial else ""
    precisions = sorted({_precision(run) for arm in ("A", "B") for run in found.runs.get(("two-stage", arm), [])})
    what = (
        f"Numbers are two stages less one at equal compute, with 95 % intervals, from {runs} trainings{of_plan}, "
        f"in {' and '.join(precisions)}."
    )
    return typeset(f"{claim} {found.label}. {' '.join(parts)} {what} {_reached(found)} {_control(found)}")


def _reached(found: Analysis) -> str:
    """How many of the trainings behind the claim reach the preset score, and how those count that do not."""
    sides = [study_results.of_arm(found.runs, "two-stage", arm) for arm in ("A", "B")]
    limit = study_results.limit_of([one for some in sides for one in some])
    a, b = (f"{study_results.reached(some, limit)} of {len(some)}" for some in sides)
    return (
        f"With two stages {a} trainings reached {studies.TARGET:.2f}, with one {b}; the others count with the compute that "
        "both arms spent."
    )


def _control(found: Analysis) -> str:
    """What becomes of the claim when one stage is given other learning rates."""
    arm = studies.get("rate").arm
    against = [
        f"against one stage at {arm(one.comparison.b).title.split(', ')[-1]}, {_said([one])}"
        + (f" ({one.seeds[1]} of {one.planned[1]} trainings)" if 0 < one.seeds[1] < one.planned[1] else "")
        for one in found.results["rate"]
        if one.comparison.endpoint == "dsc"
    ]
    return f"*Control*, since the learning rate was chosen for two stages: {'; '.join(against)}."


def verdicts(results: tuple[Result, ...], found: Analysis) -> str:
    """The questions of a study and their verdicts, as a list; of the primary comparisons alone where it has any."""
    shown = [one for one in results if one.comparison.primary] or results
    asked: dict[str, list[Result]] = {}
    for one in shown:
        asked.setdefault(f"{one.comparison.question} ({one.pair})", []).append(one)
    rows = [f"- {question}: {_said(some)}." for question, some in asked.items()]
    return typeset("\n".join([f"**Verdict** {found.label}:\n", *rows, ""]))


def _said(some: list[Result]) -> str:
    if all(one.verdict == NOT_RUN for one in some):
        return f"**{NOT_RUN}**"
    *parts, last = [
        f"**{one.verdict}** in {IN_TEXT[one.comparison.endpoint]}, "
        + difference_text(one).replace("(–)", f"({_without_interval(one)})")
        for one in some
    ]
    return ", and ".join([*([", ".join(parts)] if parts else []), last])


def difference_text(one: Result) -> str:
    """a - b with its 95 % interval, if that is over seeds; a dash where it was not run."""
    if one.difference is None:
        return "–"
    interval = one.difference.interval
    if not interval.over_seeds:
        interval = replace(interval, low=np.nan, high=np.nan)
    if one.comparison.endpoint != "reach":
        return interval_text(interval)
    ends = "–" if np.isnan(interval.low) else f"{interval.low:z.1f}–{interval.high:z.1f}"
    return f"{interval.value:z.1f} ({ends})"


def verdict_text(one: Result) -> str:
    """The verdict; if it is not resolved, with what the study could have seen, or why there is no interval over seeds."""
    if one.verdict != NOT_RESOLVED or one.difference is None:
        return one.verdict
    if why := _without_interval(one):
        return f"{NOT_RESOLVED}: {why}"
    digits = 1 if one.comparison.endpoint == "reach" else 3
    return f"{NOT_RESOLVED}; detectable {one.difference.detectable:.{digits}f}"


def _without_interval(one: Result) -> str:
    """Why a difference has no interval over seeds; empty if it has one, or was not run."""
    if one.difference is None or (one.difference.interval.over_seeds and not one.difference.interval.refused):
        return ""
    return one.difference.interval.refused or ("only one run" if min(one.seeds) == 1 else f"only {min(one.seeds)} runs")


def section(results: tuple[Result, ...], found: Analysis) -> str:
    """A study: what its source says, its figures, and the table of its comparisons."""
    one = results[0].study
    text = [f"**Source.** {one.claim}\n\n**Hypothesis.** {one.hypothesis}\n"]
    if all(result.verdict == NOT_RUN for result in results):
        return "\n".join([*text, RUN_IT])
    text.append(verdicts(results, found))
    text += [figure(name, _alternative(one), _caption(some, found)) for name, some in figures_of(results).items()]
    if one.name == "two-stage":
        text.append(figure(CONVERGENCE, *convergence_texts(found)))
    return "\n".join([*text, _table(results, found), *_notes(results, found)])


def figures_of(results: tuple[Result, ...]) -> dict[str, list[Result]]:
    """File name of each forest plot of a study -> the results in it, those that were run."""
    name = results[0].study.name
    halves = {"-better": BETTER, "-faster": FASTER} if name == "two-stage" else {"": BETTER}
    drawn = {
        f"claims-{name}{half}.svg": [one for one in results if one.difference and one.comparison.endpoint in endpoints]
        for half, endpoints in halves.items()
    }
    return {name: some for name, some in drawn.items() if some}


def convergence_texts(found: Analysis) -> tuple[str, str]:
    """Alternative text and caption of the convergence plot."""
    alt = (
        "Two panels, positive-only and mean validation DSC over compute; one thick line per arm, one thin line per run."
    )
    runs = {arm: study_results.of_arm(found.runs, "two-stage", arm.name) for arm in studies.get("two-stage").arms}
    runs = {arm: some for arm, some in runs.items() if some}
    limit = study_results.limit_of([one for some in runs.values() for one in some])
    reached = ", ".join(
        f"{arm.name}: {study_results.reached(some, limit)} of {len(some)}" for arm, some in runs.items()
    )
    what = (
        "Validation scores over compute (512 x 512 grid, B-TH 0.5, nothing removed), the mean of the seeds of each arm and, "
        f"thin, each run; dashed: the preset score of {studies.TARGET:.2f}. "
        f"Runs that reach it within the compute that every arm spent: {reached}. "
        "A run that does not counts with all of this compute. If only runs of the slower of two arms miss it, the true "
        "difference of compute is larger than shown. "
        f"{found.label.capitalize()}."
    )
    return alt, what


def _alternative(one: Study) -> str:
    return (
        f"Forest plot of the study {one.title}: one row per comparison, one panel per endpoint; a line is the 95 percent "
        "interval of the difference, a dot one seed, and a dashed line no difference."
    )


def _caption(some: list[Result], found: Analysis) -> str:
    interval = some[0].difference.interval if some[0].difference else None
    dots = "each seed of the first, less the mean of the second" if some[0].study.kind == "arms" else "each run"
    text = f"Differences with 95 % intervals; small dots: {dots}. {found.label.capitalize()}."
    if interval is None or not interval.n_images:
        return text
    return f"{text} {interval.n_images:,} test images of {interval.n_patients:,} patients."


def _table(results: tuple[Result, ...], found: Analysis) -> str:
    rows = [
        {
            "comparison": one.pair,
            "question": one.comparison.question,
            "endpoint": SHORT[one.comparison.endpoint] + (" (primary)" if one.comparison.primary else ""),
            "difference": difference_text(one),
            "p": _p_text(one),
            "runs": f"{one.seeds[0]}\u00a0and\u00a0{one.seeds[1]}",
            "verdict": verdict_text(one),
        }
        for one in results
    ]
    family = (
        " p of primary comparisons is adjusted by Holm's method."
        if any(one.comparison.primary for one in results)
        else ""
    )
    compute = " Of compute, less is better." if any(one.comparison.endpoint == "reach" for one in results) else ""
    caption = f"{results[0].study.title}, {found.label}: differences with 95 % intervals.{compute}{family}"
    return table(pd.DataFrame(rows).set_index("comparison"), caption, "comparison")


def _p_text(one: Result) -> str:
    if one.difference is None or not one.difference.interval.over_seeds:
        return "–"
    return "< 0.001" if one.p < 0.001 else f"{one.p:.3f}"


def _notes(results: tuple[Result, ...], found: Analysis) -> list[str]:
    """Sentences on what is missing."""
    notes, one = [], results[0].study
    if any(result.partial for result in results):
        notes.append(f"**Fewer runs than planned:** {_missing(results)}.\n")
    if one.name == "restart":
        never, runs = study_results.never_lowered(found.runs, one)
        notes.append(f"In {never} of {runs} runs stage 1 ended with the rate that it began with.\n")
    return notes + _precisions(results, found)


def _precisions(results: tuple[Result, ...], found: Analysis) -> list[str]:
    """Which runs of a study were trained in which precision, and its differences within one; nothing if all are alike."""
    one = results[0].study
    if one.kind != "arms":
        return []
    seeds: dict[str, dict[str, list[str]]] = {}
    for arm in one.arms:
        for record in study_results.records_of_arm(found.runs, one.name, arm.name):
            of_arm = seeds.setdefault(_precision(record), {}).setdefault(arm.name, [])
            of_arm.append(str(record.values["seed"]))
    if len(seeds) < 2:
        return []
    each = "; ".join(
        f"in {title} "
        + ", ".join(f"{arm} (seed{'s' * (len(some) > 1)} {', '.join(some)})" for arm, some in arms.items())
        for title, arms in seeds.items()
    )
    text = (
        f"**Not held fixed:** the precision of training, which follows the machine: {each}. A difference between runs of "
        "two precisions contains theirs.\n"
    )
    rows = [_within(result, found, list(seeds)) for result in results if result.comparison.endpoint in ("dsc", "auroc")]
    rows = [row for row in rows if row]
    caption = f"{one.title}, {found.label}: differences of all runs and within one precision, with 95 % intervals."
    return (
        [text, table(pd.DataFrame(rows).set_index("comparison").fillna("–"), caption, "comparison")] if rows else [text]
    )


def _precision(record: Record) -> str:
    return PRECISION_TITLES.get(record.values["stages"][-1]["cost"].get("precision"), "not noted")


def _within(one: Result, found: Analysis, titles: list[str]) -> dict[str, str]:
    """A difference between runs of one precision, for each that both arms have; empty where all its runs are of one."""
    if one.difference is None:
        return {}
    arms = [
        study_results.records_of_arm(found.runs, one.study.name, arm) for arm in (one.comparison.a, one.comparison.b)
    ]
    if len({_precision(record) for arm in arms for record in arm}) < 2:
        return {}
    row = {"comparison": one.pair, "endpoint": SHORT[one.comparison.endpoint], "all runs": difference_text(one)}
    for title in titles:
        sides = [study_results.outcomes_of([record for record in arm if _precision(record) == title]) for arm in arms]
        if all(sides):
            difference = study_results.compare(one.comparison.endpoint, *sides)
            counts = " and ".join(str(len(side)) for side in sides)
            row[title] = f"{difference_text(replace(one, difference=difference))}; {counts} runs"
    return row


def _missing(results: tuple[Result, ...]) -> str:
    short = {}
    for one in results:
        sides = zip((one.comparison.a, one.comparison.b), one.seeds, one.planned, strict=True)
        short |= {name: f"{name} {there} of {wanted}" for name, there, wanted in sides if there < wanted}
    return ", ".join(short.values())


def status(found: Analysis) -> str:
    """How much of the plan was run."""
    if not found.runs:
        return RUN_IT + "\n" + command("make study", "make study MORE=-n   # lists what is left")
    every = [one for some in found.results.values() for one in some]
    run = [one for one in every if one.difference]
    text = f"**Run so far:** {sum(map(len, found.runs.values()))} trainings, {len(run)} of {len(every)} comparisons"
    partial = sum(one.partial for one in run)
    return f"{text}, {partial} of them with fewer runs than planned.\n" if partial else f"{text}.\n"


def worth(found: Analysis) -> str:
    """What each ingredient is worth, side by side: mean DSC and AUROC gained."""
    if not found.runs:
        return RUN_IT
    rows: dict[str, dict[str, str]] = {}
    for name, results in found.results.items():
        for one in results:
            if one.comparison.endpoint in ("dsc", "auroc"):
                row = rows.setdefault(f"{name}: {one.pair}", {"question": one.comparison.question})
                row[f"{SHORT[one.comparison.endpoint]} gained"] = difference_text(one)
                if one.comparison.endpoint == "dsc":
                    row["verdict by mean DSC"] = verdict_text(one)
    columns = ["question", "mean DSC gained", "AUROC gained", "verdict by mean DSC"]
    frame = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns).fillna("–")
    return table(frame, f"What each ingredient is worth, {found.label}; 95 % intervals.", "comparison")


def power(found: Analysis) -> str:
    """Seeds and test images that a claim of a given size needs, and what the published differences would have needed."""
    first = next((one for one in found.primary() if one.comparison.endpoint == "dsc"), None)
    components = first.difference.components if first and first.difference else None
    if first is None or first.difference is None or components is None:
        return "**Not run** with three seeds of A and B, from which these tables are made.\n\n" + command("make study")
    measured = f"variances of A \u2212 B in mean DSC, {first.seeds[0]} and {first.seeds[1]} seeds, {found.label}"
    what = "with 80 % power at p < 0.05"
    return "\n".join(
        [
            table(_sizes(components), f"Needed to see a difference in mean DSC {what}; from {measured}.", "difference"),
            table(
                _published(components),
                f"What the published differences would have needed, {what}, if scores varied as here: {measured}. "
                "Published IoU is taken as if it were mean DSC.",
                "published difference",
            ),
        ]
    )


def _sizes(components: Components) -> pd.DataFrame:
    rows = {
        f"{size:g}": {
            **{f"test images, {n} seeds per arm": _count(images_needed(size, components, n)) for n in SEEDS},
            **{
                f"seeds per arm, {n:,} images": _count(seeds_needed(size, components, n))
                for n in (DECK_IMAGES, HIDDEN_IMAGES)
            },
        }
        for size in SIZES
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _published(components: Components) -> pd.DataFrame:
    rows = {}
    for title, size in published_differences().items():
        rows[title] = {
            "size": f"{abs(size):.4f}",
            f"test images, {SEEDS[1]} seeds per arm": _count(images_needed(size, components, SEEDS[1])),
            f"seeds per arm, {DECK_IMAGES:,} images": _count(seeds_needed(size, components, DECK_IMAGES)),
            f"seeds per arm, {HIDDEN_IMAGES:,} images": _count(seeds_needed(size, components, HIDDEN_IMAGES)),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def published_differences() -> dict[str, float]:
    """Differences of neighbouring pipelines in the paper's tables, the paper from the deck, and what a second stage gained."""
    stage = {n: {name: published.values(f"stage{n}_iou", name).get("paper") for name in _names()} for n in (1, 2)}
    found = {}
    for number, (a, b) in ((1, ("exp2", "exp1")), (1, ("exp4", "exp2")), (2, ("exp4", "exp3")), (2, ("exp5", "exp4"))):
        found[f"paper: {a} \u2212 {b}, stage {number}"] = stage[number][a] - stage[number][b]
    found["paper: stage 2 \u2212 stage 1, exp5"] = stage[2]["exp5"] - stage[1]["exp5"]
    test = published.values("test", "dsc")
    return found | {"test DSC: paper \u2212 deck": test["paper"] - test["deck"]}


def _names() -> list[str]:
    return [f"exp{number}" for number in range(1, 6)]


def _count(number: int | None) -> str:
    return "no number suffices" if number is None else f"{number:,}"
