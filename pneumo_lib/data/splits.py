"""Splits into training, validation and test images: by patient where patients are known, with duplicates counted."""

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_lib import atomic, challenge
from pneumo_lib.errors import SplitError

_IMAGES_A_STRATUM = 12
_MOST_STRATA = 4


def assign_groups(
    groups: np.ndarray, areas: np.ndarray, shares: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """Subset number of each image, all images of a group in one subset.

    Greedy, as scikit-learn's `StratifiedGroupKFold`, which cannot serve: its subsets are of equal size, and it balances one
    label. Here groups in falling size go where they bring the counts (images, positives, positives in each quarter of mask
    area) nearest to their targets. Every subset gets a positive image where
    there are as many groups with one as subsets.

    **Shape**: groups int (N,) numbered from 0; areas int (N,), 0 for negatives; shares sum to 1; returns int (N,).
    """
    counts = _group_counts(groups, areas)
    order = rng.permutation(len(counts))
    order = order[np.lexsort((-counts[order, 0], -counts[order, 1]))]  # most positives, then most images, first
    subsets = _greedy(counts, order, np.asarray(shares))
    _spread(subsets, counts[:, 1] > 0, counts, order)
    _spread(subsets, counts[:, 0] > 0, counts, order)
    return subsets[groups]


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
    subsets = np.zeros(len(counts), int)
    for group in order:
        # What the squared distance to the targets, relative to them, would change by in each subset.
        gain = counts[group] * (2 * (filled - targets) + counts[group]) * weights
        subsets[group] = gain.sum(axis=1).argmin()
        filled[subsets[group]] += counts[group]
    return subsets


def _spread(subsets: np.ndarray, wanted: np.ndarray, counts: np.ndarray, order: np.ndarray) -> None:
    """Moves the smallest wanted groups until every subset has one, as far as there are enough; small sets need it."""
    n_subsets = 3
    for subset in range(n_subsets):
        held = np.bincount(subsets[wanted], minlength=n_subsets)
        donor = held.argmax()
        if held[subset] == 0 and held[donor] > 1:
            candidates = [group for group in order if wanted[group] and subsets[group] == donor]
            subsets[min(candidates, key=lambda group: counts[group, 0])] = subset


def duplicates(images: np.ndarray) -> np.ndarray:
    """The number of each image's group of equal images, from 0 in order of appearance.

    Args:
        images: uint8 (N, H, W), possibly memory-mapped; equal to the last pixel counts, as two copies of one file are
            after preparation. A copy that was compressed anew is not found.

    Returns:
        int (N,); as many numbers as there are different images.
    """
    return pd.factorize(
        np.array([hashlib.blake2b(image.tobytes(), digest_size=16).digest().hex() for image in images])
    )[0]


def report_duplicates(images: np.ndarray, split: pd.Series) -> pd.DataFrame:
    """One row: `shown_twice` (images whose pixels an earlier image has), and how many groups `cross_parts` of the split.

    Args:
        images: uint8 (N, H, W).
        split: (N,) subset of each image in the same order; images without a subset (unlabelled) are left out.
    """
    known = split.notna().to_numpy()
    subsets = pd.Series(split[known].to_numpy(object))
    group = duplicates(images)[known]
    crossing = subsets.groupby(group).nunique() > 1
    return pd.DataFrame(
        {
            "images": [len(group)],
            "shown_twice": [len(group) - len(set(group))],
            "cross_parts": [int(crossing.sum())],
        }
    )


SUBSETS = ("train", "validation", "test")
RULES = ("deck", "deck-2k", "follow-up", "follow-up-90-10", "trial", "patient")
WITHOUT_TEST = ("follow-up-90-10",)
"""Rules that leave no image for "test".

`follow-up-90-10` is the follow-up code's own way: it submits to the challenge instead of testing."""

DECK_TEST = 1830 / (10_065 + 1830)
"""The deck's test images as a share of all that it counts."""

DECK_2K_TEST = (challenge.IMAGES - 10_065) / challenge.IMAGES
"""The deck's "2k" test images: the 1,982 that its 10,065 training images leave of all 12,047 labelled ones."""

TRIAL_SHARES = (0.80, 0.10, 0.10)
"""Shares of train, validation and test under `trial`, for X-rays of unknown patients: our choice."""

DECK_VALIDATION = 0.1
"""Share of the deck's training subset that becomes validation: our choice, as in the follow-up code; the deck has none."""

FOLLOW_UP_HOLD_OUT = 0.1
FOLLOW_UP_SEED = 1994

PATIENT_SHARES = (0.70, 0.15, 0.15)
"""Shares of train, validation and test under `patient`: our choice. Test is as large as the deck's (15.4 %), and
validation equals it, for it chooses among 2,804 pairs of thresholds and has to tell them apart as well as test does."""


def default_rule(index: pd.DataFrame) -> str:
    """`patient` where any labelled image's patient is known, else `deck`."""
    return "patient" if index.patient_id[index.labelled].notna().any() else "deck"


def split(index: pd.DataFrame, rule: str, seed: int = 0, counts: tuple[int, int, int] | None = None) -> pd.Series:
    """The subset of each image: "train", "validation" or "test"; <NA> for unlabelled images.

    Args:
        index: as `siim.load_index` gives it; the order of its rows does not matter.
        rule: `deck`: by image, test as large as in the deck (15.4 %), validation 10 % of the rest.
            `deck-2k`: by image, the deck's other reading: 1,982 test images of 12,047, validation 10 % of the rest.
            `trial`: by image, 80 / 10 / 10 %, stratified by positive and mask area.
            `follow-up-90-10`: by image; the follow-up code's hold-out is validation, the rest trains, no test.
            `follow-up`: by image; validation is the follow-up code's hold-out of 10 %, drawn with its seed 1994
            whatever `seed` says; the follow-up code tests on Kaggle's unpublished masks, so here a second tenth, drawn
            from the rest with `seed`, plays test.
            `patient`: 70 / 15 / 15 %, all images of a patient in one subset, stratified by positive and mask area; an
            image of unknown patient counts as a patient of its own.
        seed: of the draw.
        counts: exact numbers of training, validation and test images, under `patient` only.

    Returns:
        Series "split" (string), aligned with `index`; `attrs` hold the rule and the seed.

    Raises:
        SplitError: unknown rule, no patients known, or a subset that would be empty.
    """
    if rule not in RULES:
        raise SplitError(f"unknown split rule {rule!r}; choose from {', '.join(RULES)}.")
    labelled = index[index.labelled].sort_values("image_id")
    if labelled.image_id.duplicated().any():
        raise SplitError("The index names an image twice; give it as siim.load_index returns it.")
    subsets = _subsets(labelled, rule, seed, counts)
    for number, name in enumerate(SUBSETS):
        if not (subsets == number).any() and not (name == "test" and rule in WITHOUT_TEST):
            raise SplitError(
                f"{len(labelled)} labelled images leave {name} empty under rule {rule!r}; give more images."
            )
    result = pd.Series(pd.NA, index=index.index, dtype="string", name="split")
    result[labelled.index] = np.array(SUBSETS)[subsets]
    result.attrs = {"rule": rule, "seed": seed}
    return result


def report(index: pd.DataFrame, split: pd.Series) -> pd.DataFrame:
    """One row per subset: `images`, `positive`, `positive_share`, `patients`, and `sharing_a_patient_with_train`.

    The last is the number of images whose patient also has an image in training: "unknown" where no patient is known,
    and "at least n" where some are not. `rule` is the rule used.
    """
    known = index.patient_id.notna()
    in_training = set(index.patient_id[(split == "train").fillna(False) & known])
    rows = []
    for name in SUBSETS:
        subset = index[(split == name).fillna(False).to_numpy(bool)]
        shared = int(subset.patient_id.isin(in_training).sum()) if name != "train" else 0
        sharing = str(shared) if subset.patient_id.notna().all() else f"at least {shared}" if known.any() else "unknown"
        rows.append(
            {
                "split": name,
                "images": len(subset),
                "positive": int(subset.positive.sum()),
                "positive_share": round(float(subset.positive.mean()), 3) if len(subset) else np.nan,
                "patients": int(subset.patient_id.nunique()) if known.any() else "unknown",
                "sharing_a_patient_with_train": "-" if name == "train" else sharing,
                "rule": split.attrs.get("rule", "unknown"),
            }
        )
    return pd.DataFrame(rows)


def save(path: str | Path, index: pd.DataFrame, split: pd.Series) -> None:
    """Writes the split as a CSV `image_id,split,rule,seed`, whole or not at all."""
    table = pd.DataFrame({"image_id": index.image_id, "split": split.fillna("")})
    atomic.write_csv(Path(path), table.assign(rule=split.attrs.get("rule", ""), seed=split.attrs.get("seed", "")))


def load(path: str | Path, index: pd.DataFrame) -> pd.Series:
    """The split saved at `path`, aligned with `index` by image id.

    Raises:
        SplitError: unreadable, an unknown subset, other images or labels than those of `index`, or a split by patient with
            a patient in two subsets, as another map of patients gives it.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        saved = table.set_index("image_id").split
        if not saved.index.is_unique:
            raise ValueError("an image is in it twice")
        attrs = {"rule": table.rule.iloc[0], "seed": int(table.seed.iloc[0])} if len(table) else {}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise SplitError(
            f"{path} cannot be read as a saved split ({str(error)[:120]}); delete it to make a new one."
        ) from error
    if unknown := set(saved) - {*SUBSETS, ""}:
        raise SplitError(f"{path} has the subset {min(unknown)[:40]!r}; only {', '.join(SUBSETS)} are allowed.")
    missing, extra = sorted(set(index.image_id) - set(saved.index)), sorted(set(saved.index) - set(index.image_id))
    if missing or extra:
        raise SplitError(
            f"{path} belongs to other images: {len(missing)} of the data set are not in it, {len(extra)} of its own are "
            f"not in the data set (for example {(missing + extra)[0]}); delete it to make a new one."
        )
    aligned = saved.loc[index.image_id].replace("", pd.NA).astype("string")
    result = pd.Series(aligned.array, index=index.index, name="split")
    if (result.notna() != index.labelled).any():
        raise SplitError(f"{path} was made when other images were labelled; delete it to make a new one.")
    if attrs.get("rule") == "patient":
        _check_patients(path, index, result)
    result.attrs = attrs
    return result


def _check_patients(path: str | Path, index: pd.DataFrame, split: pd.Series) -> None:
    torn = split.groupby(index.patient_id).nunique() > 1
    if torn.any():
        raise SplitError(
            f"{path} was made with another map of patients: patient {torn.idxmax()} has images in two subsets (patients torn "
            f"apart: {torn.sum()}); pass that map again (parameter patients), or delete this file to split and train anew."
        )


def _subsets(labelled: pd.DataFrame, rule: str, seed: int, counts: tuple[int, int, int] | None) -> np.ndarray:
    """Part number (0 train, 1 validation, 2 test) of each labelled image."""
    if rule == "patient":
        return _by_patient(labelled, seed, counts)
    if counts is not None:
        raise SplitError(f"exact counts of images need split rule 'patient', not {rule!r}.")
    if rule == "trial":
        areas = labelled.mask_area_px.to_numpy(np.int64)
        return assign_groups(np.arange(len(labelled)), areas, TRIAL_SHARES, np.random.default_rng(seed))
    if rule in ("deck", "deck-2k"):
        return _by_deck(len(labelled), DECK_TEST if rule == "deck" else DECK_2K_TEST, seed)
    return _by_follow_up(len(labelled), rule, seed)


def _by_deck(n: int, test_share: float, seed: int) -> np.ndarray:
    order = np.random.default_rng(seed).permutation(n)
    n_test = round(test_share * n)
    n_validation = round(DECK_VALIDATION * (n - n_test))
    subsets = np.zeros(n, int)
    subsets[order[:n_test]] = 2
    subsets[order[n_test : n_test + n_validation]] = 1
    return subsets


def _by_follow_up(n: int, rule: str, seed: int) -> np.ndarray:
    """The follow-up code's own call; its sorted paths are in the order of the sorted image ids."""
    subsets = np.zeros(n, int)
    if n < 2:
        return subsets
    # More than a second to import, and of no use to the other rules.
    from sklearn.model_selection import train_test_split

    held_out = train_test_split(np.arange(n), test_size=FOLLOW_UP_HOLD_OUT, random_state=FOLLOW_UP_SEED)[1]
    subsets[held_out] = 1
    if rule not in WITHOUT_TEST:
        subsets[np.random.default_rng(seed).permutation(np.flatnonzero(subsets == 0))[: len(held_out)]] = 2
    return subsets


def _by_patient(labelled: pd.DataFrame, seed: int, counts: tuple[int, int, int] | None) -> np.ndarray:
    if labelled.patient_id.isna().all():
        raise SplitError(
            "split rule 'patient' needs to know the patients, but no patient is known; give a map of image ids to patients, "
            "or use rule 'deck'."
        )
    if counts is not None and sum(counts) != len(labelled):
        raise SplitError(f"counts {counts} are {sum(counts)} images, but {len(labelled)} are labelled.")
    own = pd.Series("image " + labelled.image_id, index=labelled.index)
    groups = pd.factorize(labelled.patient_id.astype(object).where(labelled.patient_id.notna(), own))[0]
    areas = labelled.mask_area_px.to_numpy(np.int64)
    shares = PATIENT_SHARES if counts is None else np.array(counts) / sum(counts)
    subsets = assign_groups(groups, areas, shares, np.random.default_rng(seed))
    return subsets if counts is None else _made_exact(subsets, groups, areas > 0, counts)


def _made_exact(subsets: np.ndarray, groups: np.ndarray, positive: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Moves and swaps whole groups until every subset has its number of images, and of positives as near as can be.

    Raises:
        SplitError: the groups' sizes do not allow it.
    """
    sizes = np.stack([np.bincount(groups), np.bincount(groups, positive).astype(int)], axis=1)
    subset_of = np.zeros(len(sizes), int)
    subset_of[groups] = subsets
    targets = np.stack([counts, np.round(np.array(counts) * positive.mean())], axis=1).astype(int)
    weights = np.array([len(groups), 1])  # numbers of images first
    while True:
        excess = np.stack([sizes[subset_of == subset].sum(axis=0) for subset in range(len(SUBSETS))]) - targets
        best = _best_exchange(subset_of, sizes, excess, weights)
        if best is None:
            break
        for group, subset in best:
            subset_of[group] = subset
    if excess[:, 0].any():
        raise SplitError(f"the patients' images cannot be divided into exactly {', '.join(map(str, counts))}.")
    return subset_of[groups]


def _best_exchange(
    subset_of: np.ndarray, sizes: np.ndarray, excess: np.ndarray, weights: np.ndarray
) -> list[tuple[int, int]] | None:
    """The move or swap of groups between two subsets that helps most, as (group, new subset); None where nothing helps."""
    best, gain = None, 0
    for giver, taker in itertools.permutations(range(len(SUBSETS)), 2):
        before = (np.abs(excess[[giver, taker]]) * weights).sum()
        given, taken = (_one_of_each_kind(subset_of, sizes, subset) for subset in (giver, taker))
        for out, back in itertools.product(given, [None, *taken]):
            moved = sizes[out] - (0 if back is None else sizes[back])
            after = (np.abs(np.stack([excess[giver] - moved, excess[taker] + moved])) * weights).sum()
            if before - after > gain:
                gain = before - after
                best = [(out, taker)] if back is None else [(out, taker), (back, giver)]
    return best


def _one_of_each_kind(subset_of: np.ndarray, sizes: np.ndarray, subset: int) -> np.ndarray:
    """One group of a subset for each pair of numbers of images and positives that its groups have."""
    groups = np.flatnonzero(subset_of == subset)
    return groups[np.unique(sizes[groups], axis=0, return_index=True)[1]]
