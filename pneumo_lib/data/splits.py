"""Which images train, which choose (validation) and which report (test): by patient where known, and duplicates counted."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_lib import atomic
from pneumo_lib.errors import SplitError

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
        split: (N,) part of each image in the same order; images without a part (unlabelled) are left out.
    """
    known = split.notna().to_numpy()
    parts = pd.Series(split[known].to_numpy(object))
    group = duplicates(images)[known]
    crossing = parts.groupby(group).nunique() > 1
    return pd.DataFrame(
        {
            "images": [len(group)],
            "shown_twice": [len(group) - len(set(group))],
            "cross_parts": [int(crossing.sum())],
        }
    )


PARTS = ("train", "validation", "test")
RULES = ("deck", "follow-up", "patient")

DECK_TEST = 1830 / (10_065 + 1830)
"""The deck's test images as a share of all that it counts."""

DECK_VALIDATION = 0.1
"""Share of the deck's training part that becomes validation: our choice, as in the follow-up code; the deck has none."""

FOLLOW_UP_HOLD_OUT = 0.1
FOLLOW_UP_SEED = 1994

PATIENT_SHARES = (0.70, 0.15, 0.15)
"""Shares of train, validation and test under `patient`: our choice. Test is as large as the deck's (15.4 %), and
validation equals it, for it chooses among 2,804 pairs of thresholds and has to tell them apart as well as test does."""


def default_rule(index: pd.DataFrame) -> str:
    """`patient` where any labelled image's patient is known, else `deck`."""
    return "patient" if index.patient_id[index.labelled].notna().any() else "deck"


def split(index: pd.DataFrame, rule: str, seed: int = 0) -> pd.Series:
    """The part of each image: "train", "validation" or "test"; <NA> for unlabelled images.

    Args:
        index: as `siim.load_index` gives it; the order of its rows does not matter.
        rule: `deck`: by image, test as large as in the deck (15.4 %), validation 10 % of the rest.
            `follow-up`: by image; validation is the follow-up code's hold-out of 10 %, drawn with its seed 1994
            whatever `seed` says; the follow-up code tests on Kaggle's unpublished masks, so here a second tenth, drawn
            from the rest with `seed`, plays test.
            `patient`: 70 / 15 / 15 %, all images of a patient in one part, stratified by positive and mask area; an
            image of unknown patient counts as a patient of its own.
        seed: of the draw.

    Returns:
        Series "split" (string), aligned with `index`; `attrs` hold the rule and the seed.

    Raises:
        SplitError: unknown rule, no patients known, or a part that would be empty.
    """
    if rule not in RULES:
        raise SplitError(f"split rule {rule!r} is unknown; choose one of {', '.join(RULES)}.")
    labelled = index[index.labelled].sort_values("image_id")
    if labelled.image_id.duplicated().any():
        raise SplitError("The index names an image twice; give it as siim.load_index returns it.")
    parts = _by_patient(labelled, seed) if rule == "patient" else _by_image(len(labelled), rule, seed)
    for number, name in enumerate(PARTS):
        if not (parts == number).any():
            raise SplitError(
                f"{len(labelled)} labelled images leave {name} empty under rule {rule!r}; give more images."
            )
    result = pd.Series(pd.NA, index=index.index, dtype="string", name="split")
    result[labelled.index] = np.array(PARTS)[parts]
    result.attrs = {"rule": rule, "seed": seed}
    return result


def report(index: pd.DataFrame, split: pd.Series) -> pd.DataFrame:
    """One row a part: `images`, `positive`, `positive_share`, `patients`, and `sharing_a_patient_with_train`.

    The last is the number of images whose patient also has an image in training: "unknown" where no patient is known,
    and "at least n" where some are not. `rule` is the rule used.
    """
    known = index.patient_id.notna()
    in_training = set(index.patient_id[(split == "train").fillna(False) & known])
    rows = []
    for name in PARTS:
        part = index[(split == name).fillna(False).to_numpy(bool)]
        shared = int(part.patient_id.isin(in_training).sum()) if name != "train" else 0
        sharing = str(shared) if part.patient_id.notna().all() else f"at least {shared}" if known.any() else "unknown"
        rows.append(
            {
                "split": name,
                "images": len(part),
                "positive": int(part.positive.sum()),
                "positive_share": round(float(part.positive.mean()), 3) if len(part) else np.nan,
                "patients": int(part.patient_id.nunique()) if known.any() else "unknown",
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
        SplitError: unreadable, an unknown part, or other images or labels than those of `index`.
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
    if unknown := set(saved) - {*PARTS, ""}:
        raise SplitError(f"{path} has the part {min(unknown)[:40]!r}; only {', '.join(PARTS)} are allowed.")
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
    result.attrs = attrs
    return result


def _by_image(n: int, rule: str, seed: int) -> np.ndarray:
    """Part number (0 train, 1 validation, 2 test) of each of `n` images."""
    rng = np.random.default_rng(seed)
    parts = np.zeros(n, int)
    if rule == "deck":
        order = rng.permutation(n)
        n_test = round(DECK_TEST * n)
        n_validation = round(DECK_VALIDATION * (n - n_test))
        parts[order[:n_test]] = 2
        parts[order[n_test : n_test + n_validation]] = 1
        return parts
    held_out = -(-n // round(1 / FOLLOW_UP_HOLD_OUT))  # rounded up, as scikit-learn's train_test_split does there
    parts[np.random.default_rng(FOLLOW_UP_SEED).permutation(n)[:held_out]] = 1
    parts[rng.permutation(np.flatnonzero(parts == 0))[:held_out]] = 2
    return parts


def _by_patient(labelled: pd.DataFrame, seed: int) -> np.ndarray:
    if labelled.patient_id.isna().all():
        raise SplitError(
            "split rule 'patient' needs to know the patients, and none is known; name a map of image ids to patients, "
            "or use rule 'deck'."
        )
    own = pd.Series("image " + labelled.image_id, index=labelled.index)
    patients = labelled.patient_id.astype(object).where(labelled.patient_id.notna(), own)
    areas = labelled.mask_area_px.to_numpy(np.int64)
    return assign_groups(pd.factorize(patients)[0], areas, PATIENT_SHARES, np.random.default_rng(seed))
