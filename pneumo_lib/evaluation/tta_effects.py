"""Gain in score and cost of each transform of test-time augmentation (TTA), alone and all together."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import nn

from pneumo_lib import metrics
from pneumo_lib.evaluation import postprocessing, tta
from pneumo_lib.evaluation.common_grid import CommonGridMaps
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.evaluation.transforms import TRANSFORMS

NONE, ALL, ANEW = "none", "all seven", "all seven, thresholds chosen anew"
SETS = (NONE, *TRANSFORMS, ALL)
"""No augmentation, each transform alone (with the unchanged image, as always), and all together."""


class Effects(NamedTuple):
    """dsc: one row per image, one column per set of `SETS`. seconds: per image and set, of passes and warps."""

    dsc: pd.DataFrame
    seconds: dict[str, float]


def measure(
    model: nn.Module,
    images: np.ndarray,
    truth: Sequence[np.ndarray],
    chosen: Thresholds,
    batch_size: int = 5,
    seed: int = 0,
    again: Thresholds | None = None,
) -> Effects:
    """The DSC of every image under every set, out of eight forward passes per image.

    Args:
        model, images, batch_size, seed: as in `tta.predict`; random transforms do the same here as there.
        truth: bool (N, 512, 512), the true masks on the common grid.
        chosen: thresholds and rule that make the masks.
        again: thresholds chosen anew for all seven together; adds the set `ANEW`.

    Returns:
        Effects. Memory depends on the batch, not on the number of images.

    Source: our choice; the deck lists the seven transforms and reports no effect of any.
    """
    device = next(model.parameters()).device
    rows, seconds = [], dict.fromkeys((NONE, *TRANSFORMS), 0.0)
    tta.plain(model, np.asarray(images[:batch_size]), device)  # the first pass is slower and is not timed
    for start in range(0, len(images), batch_size):
        batch, true = np.asarray(images[start : start + batch_size]), np.asarray(truth[start : start + batch_size])
        scores = {}
        for name, probability in _sets(model, batch, seed, start, device, seconds):
            maps = CommonGridMaps(probability)[:]
            scores[name] = metrics.dsc(postprocessing.apply(maps, *chosen[:2], chosen.rule), true)
            if name == ALL and again:
                scores[ANEW] = metrics.dsc(postprocessing.apply(maps, *again[:2], again.rule), true)
        rows.append(pd.DataFrame(scores))
    alone = {name: spent / len(images) for name, spent in seconds.items()}
    together = {name: alone[name] + (alone[NONE] if name != NONE else 0) for name in alone}
    every = sum(alone.values())
    return Effects(pd.concat(rows, ignore_index=True), together | {ALL: every, ANEW: every})


def _sets(
    model: nn.Module, batch: np.ndarray, seed: int, start: int, device: torch.device, seconds: dict[str, float]
) -> Iterator[tuple[str, np.ndarray]]:
    """(set, mean probability (n, H, W)) of a batch; adds the time of every pass to `seconds`."""
    begin = time.perf_counter()
    plain = tta.plain(model, batch, device)
    seconds[NONE] += time.perf_counter() - begin
    yield NONE, plain
    total, votes = plain.copy(), np.ones_like(plain)
    for name in TRANSFORMS:
        begin = time.perf_counter()
        probability, weight = tta.vote(model, batch, name, seed, start, device)
        seconds[name] += time.perf_counter() - begin
        yield name, (plain + probability * weight) / (1 + weight)
        total += probability * weight
        votes += weight
    yield ALL, total / votes


def table(effects: Effects, positive: ArrayLike, groups: ArrayLike | None = None) -> pd.DataFrame:
    """Scores, gain over no augmentation and cost of every set.

    Args:
        effects: of `measure`.
        positive: bool (N,), the images with a pneumothorax.
        groups: (N,) patients, for the intervals.

    Returns:
        DataFrame, one row per set: transforms, passes (forward passes per image), seconds (per image), dsc and positive_dsc
        (means), gain, gain_low, gain_high and positive_gain, positive_gain_low, positive_gain_high (paired with
        no augmentation, 95 % interval over patients); the positive ones NaN where there is no such image.
    """
    positive, groups = np.asarray(positive, bool), None if groups is None else np.asarray(groups)
    rows = []
    for name in [name for name in (*SETS, ANEW) if name in effects.dsc]:
        row = {
            "transforms": name,
            "passes": {NONE: 1, ALL: 1 + len(TRANSFORMS), ANEW: 1 + len(TRANSFORMS)}.get(name, 2),
            "seconds": effects.seconds[name],
        }
        for prefix, images in (("", np.ones(len(positive), bool)), ("positive_", positive)):
            here, none = effects.dsc.loc[images, name].to_numpy(), effects.dsc.loc[images, NONE].to_numpy()
            some = len(here) > 0
            patients = None if groups is None else groups[images]
            gain, low, high = metrics.mean_interval(here - none, patients, bounded=False) if some else [np.nan] * 3
            row[f"{prefix}dsc"] = float(here.mean()) if some else np.nan
            row |= {f"{prefix}gain": gain, f"{prefix}gain_low": low, f"{prefix}gain_high": high}
        rows.append(row)
    return pd.DataFrame(rows)
