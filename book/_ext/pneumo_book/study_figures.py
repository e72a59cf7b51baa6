"""Figures of the studies: forest plots of differences, and validation scores over compute."""

import textwrap
from collections.abc import Iterator

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pneumo_book import study_blocks
from pneumo_book.stacking import both
from pneumo_lib import studies, study_results
from pneumo_lib.report.style import COLUMN, NEUTRAL, panels
from pneumo_lib.study_results import CURVES, MEGA, NOT_RESOLVED, REFUTED, SUPPORTED, Analysis, Outcome, Result

COLOURS = {SUPPORTED: NEUTRAL, REFUTED: "#D55E00", NOT_RESOLVED: "0.45"}
ARMS = {"A": "#0072B2", "B": "#D55E00", "C": "#009E73", "D": "#CC79A7", "E": "#E69F00", "F": "#56B4E9"}
"""Okabe and Ito's colours of the arms of the study two-stage."""


def draw_all(found: Analysis) -> Iterator[tuple[str, Figure]]:
    """(file name, figure) of all that was run."""
    for name, results in found.results.items():
        for file, some in study_blocks.figures_of(results).items():
            yield from both(file, forest, some)
        if name == "two-stage" and any(one.difference for one in results):
            yield from both(study_blocks.CONVERGENCE, convergence, found)


def forest(results: list[Result], *, stacked: bool = False) -> Figure:
    """Each comparison's difference with its 95 % interval, and each seed's; one panel per endpoint.

    Args:
        results: that were run, of one study.
    """
    endpoints = list(dict.fromkeys(one.comparison.endpoint for one in results))
    pairs = list(dict.fromkeys(one.pair for one in results))
    size = (COLUMN, 1.3 + 0.42 * len(pairs))
    figure, axes = panels(len(endpoints), size, stacked=stacked, sharey=True)
    for axis, endpoint in zip(axes, endpoints, strict=True):
        for one in results:
            if one.comparison.endpoint == endpoint:
                _row(axis, pairs.index(one.pair), one)
        axis.axvline(0, color="0.35", linestyle="--", linewidth=1)
        faster = "\nleft of 0: faster" if endpoint in study_results.LESS_IS_BETTER else ""
        axis.set_xlabel(study_blocks.SHORT[endpoint] + faster)
        axis.locator_params(axis="x", nbins=4)
        axis.grid(axis="x", alpha=0.3)
    names = [textwrap.fill(pair, 14) for pair in pairs] if stacked else pairs
    axes[0].set(yticks=range(len(pairs)), yticklabels=names, ylim=(len(pairs) - 0.4, -0.6))
    there = [name for name in COLOURS if any(one.verdict == name for one in results)]
    handles = [Line2D([], [], color=COLOURS[name], marker="o", label=name) for name in there]
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if stacked else 3, frameon=False)
    sns.despine(figure)
    return figure


def _row(axis: Axes, y: int, one: Result) -> None:
    if one.difference is None:
        return
    interval, colour = one.difference.interval, COLOURS[one.verdict]
    # An interval for these seeds only is one between trained networks, not between ways to train.
    if interval.over_seeds and not np.isnan(interval.low):
        axis.plot([interval.low, interval.high], [y, y], color=colour, linewidth=2)
    axis.plot(interval.value, y, "o", color=colour, markersize=6)
    seeds = one.difference.per_seed
    axis.plot(seeds, [y + 0.25] * len(seeds), ".", color=colour, markersize=4, alpha=0.6)


def convergence(found: Analysis, *, stacked: bool = False) -> Figure:
    """Positive-only and mean validation DSC over compute: the mean of the seeds of each arm, thin each run."""
    arms = {arm: study_results.of_arm(found.runs, "two-stage", arm.name) for arm in studies.get("two-stage").arms}
    figure, axes = panels(2, (COLUMN, 3.9), stacked=stacked, sharex=True)
    titles = {"area": "positive-only DSC", "area_dsc": "mean DSC"}
    for axis, (endpoint, title) in zip(axes, titles.items(), strict=True):
        for arm, runs in arms.items():
            _curves(axis, runs, CURVES[endpoint], ARMS[arm.name], f"{arm.name}: {arm.title}")
        axis.set(
            title=textwrap.fill(f"{title} on validation", 24 if stacked else 40), xlabel="compute, Mpx", ylim=(0, None)
        )
        axis.grid(alpha=0.3)
    axes[0].axhline(studies.TARGET, color="0.35", linestyle="--", linewidth=1)
    columns, length = (1, 1.2) if stacked else (2, 2)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=columns, handlelength=length, frameon=False)
    sns.despine(figure)
    return figure


def _curves(axis: Axes, runs: list[Outcome], column: str, colour: str, label: str) -> None:
    if not runs:
        return
    for run in runs:
        axis.plot(run.history["compute"] / MEGA, run.history[column], color=colour, linewidth=0.7, alpha=0.35)
    epochs = min(len(run.history) for run in runs)
    mean = np.mean([run.history[column].to_numpy()[:epochs] for run in runs], axis=0)
    axis.plot(runs[0].history["compute"][:epochs] / MEGA, mean, color=colour, linewidth=2, label=label)
