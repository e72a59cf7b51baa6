"""Assignment of patients to parts: shares and strata as asked, no patient in two parts."""

from collections.abc import Sequence

import numpy as np

_IMAGES_A_STRATUM = 12
_MOST_STRATA = 4


def assign_groups(
    groups: np.ndarray, areas: np.ndarray, shares: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """Part number of each image, all images of a group in one part.

    Greedy, as scikit-learn's `StratifiedGroupKFold`: groups in falling size go where they bring the counts (images,
    positives, positives in each quarter of mask area) nearest to their targets. Every part gets a positive image where
    there are as many groups with one as parts.

    **Shape**: groups int (N,) numbered from 0; areas int (N,), 0 for negatives; shares sum to 1; returns int (N,).
    """
    counts = _group_counts(groups, areas)
    order = rng.permutation(len(counts))
    order = order[np.lexsort((-counts[order, 0], -counts[order, 1]))]  # most positives, then most images, first
    parts = _greedy(counts, order, np.asarray(shares))
    _spread(parts, counts[:, 1] > 0, counts, order)
    _spread(parts, counts[:, 0] > 0, counts, order)
    return parts[groups]


def _group_counts(groups: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Images, positives and positives by area stratum of each group: int (groups, 2 + strata)."""
    positive = areas > 0
    strata = int(np.clip(positive.sum() // _IMAGES_A_STRATUM, 1, _MOST_STRATA))
    edges = np.quantile(areas[positive], np.linspace(0, 1, strata + 1)[1:-1]) if positive.any() else []
    stratum = np.where(positive, 2 + np.searchsorted(edges, areas, side="right"), 0)
    counts = np.zeros((groups.max(initial=-1) + 1, 2 + strata), int)
    np.add.at(counts, (groups, 0), 1)
    np.add.at(counts, (groups[positive], 1), 1)
    np.add.at(counts, (groups[positive], stratum[positive]), 1)
    return counts


def _greedy(counts: np.ndarray, order: np.ndarray, shares: np.ndarray) -> np.ndarray:
    targets = shares[:, None] * counts.sum(axis=0)
    weights = 1 / np.maximum(targets, 1e-9)
    filled = np.zeros_like(targets)
    parts = np.zeros(len(counts), int)
    for group in order:
        # What the squared distance to the targets, relative to them, would change by in each part.
        gain = counts[group] * (2 * (filled - targets) + counts[group]) * weights
        parts[group] = gain.sum(axis=1).argmin()
        filled[parts[group]] += counts[group]
    return parts


def _spread(parts: np.ndarray, wanted: np.ndarray, counts: np.ndarray, order: np.ndarray) -> None:
    """Moves the smallest wanted groups until every part has one, as far as there are enough; small sets need it."""
    n_parts = 3
    for part in range(n_parts):
        held = np.bincount(parts[wanted], minlength=n_parts)
        donor = held.argmax()
        if held[part] == 0 and held[donor] > 1:
            candidates = [group for group in order if wanted[group] and parts[group] == donor]
            parts[min(candidates, key=lambda group: counts[group, 0])] = part
