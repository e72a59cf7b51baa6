"""Tables and sentences of the book that come from the registry, the paper's tables and the records."""

from collections.abc import Sequence

import numpy as np

from pneumo_book import (
    comparison,
    experiment_pages,
    launch,
    radiologists_masks,
    reference,
    silver,
    study_blocks,
    surface,
    think,
    verdict,
)
from pneumo_book.markdown import figure, table
from pneumo_book.markdown import figure as figure_block
from pneumo_book.markdown import table as table_block
from pneumo_lib import challenge, paths, records, study_results
from pneumo_lib import published as paper
from pneumo_lib.experiments import EXPERIMENTS
from pneumo_lib.profiles import PROFILES
from pneumo_lib.records import Record
from pneumo_lib.report import pipelines, tables


def tta_gain_shown(found: Sequence[Record]) -> Record | None:
    """The record whose effects the book shows: the best of those that measured them."""
    some = [record for record in found if record.values.get("tta_effects")]
    return records.best(some) if some else None


def tta_gain_block(found: Sequence[Record]) -> str:
    """The figure and the table of `shown`, as Markdown; a sentence where nothing was measured."""
    record = tta_gain_shown(found)
    if record is None:
        return "**Not run.** `make book` runs the five pipelines on phantoms and shows their results here.\n"
    title = f"{record.name}, test images, thresholds chosen with {', '.join(record.values['transforms']) or 'none'}"
    alt = (
        "Seven transforms and all seven together: points at the gain in mean DSC over no augmentation, with intervals."
    )
    what = f"What each transform adds: {title} ({record.label}). Lines: 95 % intervals over patients, one seed."
    device = record.values["stages"][-1]["cost"]["device"].replace("cpu", "the CPU")
    cost = f"The same with its cost; times on {device} ({record.label})."
    return "\n".join(
        [
            figure_block("tta-effects.svg", alt, what),
            table_block(tables.tta_gain_table(record.values["tta_effects"]), cost, "transforms"),
        ]
    )


NOTHING = "**Not run.** `make book` runs the five pipelines on phantoms and shows their results here.\n"


def substitutions() -> dict[str, str]:
    """Numbers that stand in sentences, by name: `{{ blank }}`."""
    published = paper.tables().query("source == 'deck'")
    stage1 = published[published["table"] == "stage1_iou"]["value"].astype(float)
    stage2 = published[published["table"] == "stage2_iou"]["value"].astype(float)
    test = {name: paper.values("test", name) for name in ("iou", "dsc")}
    exp2, exp3 = paper.values("stage1_iou", "exp2"), paper.values("stage1_iou", "exp3")
    stage2_of = {name: paper.values("stage2_iou", name)["paper"] for name in ("exp3", "exp4")}
    gains = [
        paper.values("stage2_iou", name)[source] - paper.values("stage1_iou", name)[source]
        for name in ("exp3", "exp4", "exp5")
        for source in ("paper", "deck")
    ]
    best = paper.values("sweep", "best")
    blank = challenge.EMPTY_MASK_BASELINE
    ceiling = reference.challenge_masks("ceiling").loc[best["removal_threshold"]]
    hold_out, deck_test = reference.challenge_masks("baseline")["error_95"]
    stage2_range = {
        source: np.ptp([paper.values("stage2_iou", name)[source] for name in ("exp3", "exp4", "exp5")])
        for source in ("paper", "deck")
    }
    demo = PROFILES["demo"].phantom_subsets
    return {
        "blank": f"{blank:.4f}",
        "challenge_images": f"{challenge.IMAGES:,}",
        "challenge_positive": f"{challenge.POSITIVE:,}",
        "challenge_negative": f"{challenge.IMAGES - challenge.POSITIVE:,}",
        "positive_share": f"{challenge.POSITIVE / challenge.IMAGES:.1%}",
        "stage1_highest": f"{stage1.max():.4f}",
        "stage2_highest": f"{stage2.max():.4f}",
        "stage2_above_blank": f"{stage2.max() - blank:.4f}",
        "paper_dsc": f"{test['dsc']['paper']:.4f}",
        "deck_dsc": f"{test['dsc']['deck']:.4f}",
        "paper_iou": f"{test['iou']['paper']:.4f}",
        "deck_iou": f"{test['iou']['deck']:.4f}",
        "repeat_paper": f"{abs(exp2['paper'] - exp3['paper']):.3f}",
        "repeat_deck": f"{abs(exp2['deck'] - exp3['deck']):.3f}",
        "exp2_gain": f"{exp2['paper'] - paper.values('stage1_iou', 'exp1')['paper']:.4f}",
        "exp3_to_exp4": f"{abs(stage2_of['exp4'] - stage2_of['exp3']):.4f}",
        "gain_low": f"{min(gains):.2f}",
        "gain_high": f"{max(gains):.2f}",
        "sd_paper": f"{reference.repeat_sd('paper'):.3f}",
        "sd_deck": f"{reference.repeat_sd('deck'):.3f}",
        "stage2_range_paper": f"{stage2_range['paper']:.4f}",
        "stage2_range_deck": f"{stage2_range['deck']:.4f}",
        "ceiling_dsc": f"{ceiling['dsc']:.4f}",
        "ceiling_positive": f"{ceiling['positive_dsc']:.4f}",
        "blank_error_hold_out": f"{hold_out:.3f}",
        "blank_error_test": f"{deck_test:.3f}",
        "deck_bth": f"{best['binarization_threshold']:.2f}",
        "deck_rth": f"{best['removal_threshold']:.0f}",
        "launch_front": launch.buttons(),
        "clone": launch.clone(),
        "plan_commit": study_blocks.plan_commit(),
        "exploratory": str(study_blocks.exploratory()),
        "by_chance": f"{study_blocks.exploratory() * study_results.ALPHA:.0f}",
        "demo_images": f"{PROFILES['demo'].phantom_images:,}",
        "demo_training": f"{demo[0]:,}",
        "demo_validation": f"{demo[1]:,}",
        "demo_test": f"{demo[2]:,}",
        "demo_sizes": " and ".join(map(str, PROFILES["demo"].image_sizes)),
        "study_training_images": str(PROFILES["study"].phantom_subsets[0]),
    } | think.motion_numbers(paths.results())


def write_all(sets: dict[str, list[Record]], silver_sets: dict[str, list[Record]]) -> dict[str, str]:
    """Every block by the name of its file; `silver_sets` are the runs on silver labels."""
    first = next(iter(sets.values()), [])
    return {
        "verdict": verdict.verdict(first) + "\n",
        "answer": _answer(first),
        "stage1": _each(sets, lambda found: comparison.stage_table(found, 1), "IoU after stage 1", "validation"),
        "stage2": _each(sets, lambda found: comparison.stage_table(found, 2), "IoU after stage 2", "validation"),
        "test": _each(sets, comparison.test_table, "On the test images", "test", comparison.MARK_MEANS),
        "pairs": _pairs(sets),
        "repeats": comparison.repeats_block(sets),
        "thresholds": _thresholds(sets),
        "optimism": _optimism(first),
        "gallery": _galleries(sets),
        "tta": tta_gain_block(first),
        "surface": surface.block(sets),
        "silver": silver.block(silver_sets),
        "radiologists": radiologists_masks.block(radiologists_masks.shown()),
        "radiologists-sentence": radiologists_masks.sentence(radiologists_masks.shown()) + "\n",
        "launch": launch.block(),
        "pipelines": reference.pipelines(),
        "registry": reference.registry(),
        "profiles": reference.profiles(),
        "second-stages": reference.second_stages(),
        "epoch-hours": reference.epoch_hours(first),
        "times": reference.times(first),
        "ceiling": reference.ceiling(),
        "seeds-needed": reference.seeds_needed(),
        "sources": reference.sources(),
        "parameters": reference.parameters(),
        "status": reference.status(sets, silver_sets),
    }


def _answer(found: list[Record]) -> str:
    caption = (
        "The answer. Paper and deck: challenge data, IoU on validation after the last stage (256 or 512 pixels). "
        f"Ours: test images; {comparison.described(found)}. {comparison.brackets(found)}"
    )
    return table(comparison.answer_table(found), caption, "pipeline") + comparison.departures(found)


def _each(sets: dict, make, what: str, subset: str, more: str = "") -> str:
    """One table per set of records; without any, the published numbers next to "not run"."""
    shown = sets or {"ours": []}
    sizes = "256 pixels after stage 1, 512 after stage 2"
    return "\n".join(
        table(
            comparison.without_blank_columns(make(found)),
            f"{what}. Paper and deck: challenge data, {sizes}. Ours, {title}: {comparison.described(found, subset)}. "
            f"In brackets: 95 % intervals. {more}".strip(),
            "pipeline",
        )
        + comparison.departures(found)
        for title, found in shown.items()
    )


def _pairs(sets: dict) -> str:
    """Neighbouring pipelines on the same images, one table per set of records that has two."""
    made = {title: (comparison.pairs_table(found), comparison.described(found)) for title, found in sets.items()}
    text = [
        table(
            comparison.without_blank_columns(pairs),
            f"Each pipeline minus the one before it, {title}: {label}. In brackets: 95 % intervals of the difference, paired "
            "by image, before Holm's adjustment; distinguishable: 0 is excluded after it.",
            "pair",
        )
        for title, (pairs, label) in made.items()
        if len(pairs)
    ]
    return "\n".join(text) or NOTHING


def _thresholds(sets: dict) -> str:
    """Every protocol of choosing the thresholds, for each pipeline; the first seed's."""
    text = []
    for name in EXPERIMENTS:
        if record := experiment_pages.measured(name, sets):
            numbers = pipelines.counts([record])
            what = f"{name}, by the protocol that chose its thresholds ({record.label}; {numbers})."
            caption = f"{what} In brackets: 95 % intervals, one seed."
            text.append(table(tables.score_table(record.values["test"]), caption, "protocol"))
    return "\n".join(text) or NOTHING


def _optimism(found: list[Record]) -> str:
    if not found:
        return NOTHING
    alt = (
        "One line per pipeline: mean DSC with its 95 percent interval when thresholds are chosen on validation, "
        "a square where they are chosen on test, a dashed mark for empty masks."
    )
    return figure(
        "optimism.svg",
        alt,
        f"Mean DSC on test by the protocol that chose the thresholds ({comparison.described(found)}).",
    )


def _galleries(sets: dict) -> str:
    """What became of each test image, and the gallery of every experiment that has one."""
    first = next(iter(sets.values()), [])
    if not first:
        return NOTHING
    alt = (
        "Top, for each pipeline, how many test images are true positive, false negative, false positive and true negative. "
        "Bottom, the DSC of the images with a pneumothorax from the best to the worst."
    )
    text = [figure("outcomes.svg", alt, f"The test images of each pipeline ({comparison.described(first)}).")]
    for name in EXPERIMENTS:
        if experiment_pages.gallery(name, sets):
            alt = f"Test images of {name}: rows original, ground truth and predicted, outlines drawn in."
            caption = f"[{name}](../experiments/{name}.md): {experiment_pages.measured(name, sets).label}."
            text.append(figure(f"{name}-gallery.png", alt, caption))
    return "\n".join(text)
