"""A metric by subgroup: view, sex, age band and size of the pneumothorax, each with its number of images."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pneumo_lib.errors import MetricError
from pneumo_lib.metrics.estimates import mean_interval

AGE_BANDS = (0, 18, 40, 60, 80, 121)
"""Years; each band holds its lower end. Ages above 120, `data.dicom.OLDEST_YEARS`, are typing errors: unknown."""

UNKNOWN = "unknown"


def subgroups(values: ArrayLike, index: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % interval of a metric in every subgroup.

    Args:
        values: float (N,) in 0..1, a metric of each image.
        index: N rows in the same order; of the columns view, sex, age_years and mask_area_px those that are there are
            used, and patient_id for the interval.

    Returns:
        DataFrame with columns attribute, group, n_images, n_positive (if mask_area_px is there), mean, low, high, and one
        row per group that has images; low and high are NaN in groups of fewer than `interval.MIN_PATIENTS` patients. The
        first row is attribute "all". Attribute "size" divides the images with a pneumothorax into thirds by mask area.

    Raises:
        MetricError: another number of values than rows.

    Source: our choice; the paper and the deck report no subgroups.
    """
    values = np.asarray(values, np.float64)
    if values.shape != (len(index),):
        raise MetricError(f"values has shape {values.shape} for {len(index)} rows of index; pass one value per image.")
    patients = index["patient_id"].to_numpy() if "patient_id" in index else None
    rows = []
    for attribute, labels in attributes(index).items():
        codes, names = pd.factorize(labels, sort=True)
        for code, name in enumerate(names):
            here = codes == code
            row = {"attribute": attribute, "group": str(name), "n_images": int(here.sum())}
            if "mask_area_px" in index:
                row["n_positive"] = int((index["mask_area_px"].to_numpy(np.float64, na_value=np.nan)[here] > 0).sum())
            rows.append(row | dict(zip(("mean", "low", "high"), mean_interval(values, patients, here), strict=True)))
    return pd.DataFrame(rows)


def attributes(index: pd.DataFrame) -> dict[str, pd.Categorical]:
    """The group of each image by attribute, missing where an image belongs to none; see `subgroups`."""
    found = {"all": pd.Categorical(["all"] * len(index))}
    for column in ("view", "sex"):
        if column in index:
            known = index[column].astype(object)
            found[column] = pd.Categorical(known.where(known.notna() & (known != ""), UNKNOWN))
    if "age_years" in index:
        found["age"] = _age_bands(pd.to_numeric(index["age_years"], errors="coerce"))
    if "mask_area_px" in index:
        found["size"] = _size_thirds(index["mask_area_px"].to_numpy(np.float64, na_value=np.nan))
    return found


def _age_bands(age: pd.Series) -> pd.Categorical:
    names = [f"{low}-{high - 1}" for low, high in zip(AGE_BANDS[:-1], AGE_BANDS[1:], strict=True)]
    names[-1] = f"{AGE_BANDS[-2]}+"
    bands = pd.cut(age.astype(float), AGE_BANDS, right=False, labels=names).astype(object)
    return pd.Categorical(bands.where(bands.notna(), UNKNOWN), categories=[*names, UNKNOWN], ordered=True)


def _size_thirds(area: np.ndarray) -> pd.Categorical:
    positive = area > 0
    names = ["small", "medium", "large"]
    if not positive.any():
        return pd.Categorical([None] * len(area), categories=names)
    # By area, not by rank: images of equal size belong to one third.
    limits = np.quantile(area[positive], [1 / 3, 2 / 3])
    labels = np.array(names, object)[np.searchsorted(limits, area, side="left")]
    labels[~positive] = None
    return pd.Categorical(labels, categories=names, ordered=True)
