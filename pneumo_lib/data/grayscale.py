"""From a DICOM file's stored values to 8-bit gray with air dark."""

import math

import numpy as np
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels import apply_modality_lut, apply_voi
from scipy.special import expit


def to_uint8(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Stored values → uint8 (H, W), air dark.

    Rescale (or modality LUT), then the first VOI LUT or window, then MONOCHROME1 inverted. What becomes 0..255 is, in
    this order: the VOI LUT's range; the window; with at most 8 bits the whole range that can be stored, so that the
    challenge's files stay as they are; with more bits the frame's own least to greatest value, padding pixels left out
    (our choice: detectors seldom use all of their 10 to 16 bits).

    **Shape**: stored (H, W), any integer type.

    Raises:
        ValueError: a window width that the standard does not allow.
    """
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    if _is_plain(stored, dataset):
        return 255 - stored if inverted else stored
    values = _rescaled(stored, dataset).astype(np.float32)
    padding = _padding(stored, dataset)
    unit = _unit_range(values, padding, dataset)
    gray = np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
    gray = 255 - gray if inverted else gray
    if padding is not None:
        gray[padding] = 0
    return gray


def stretched(values: np.ndarray) -> np.ndarray:
    """Values of a picture with more than 8 bits → uint8, its own least to greatest as with such DICOM files (our choice).

    Pictures often hold 10 or 12 bits in 16: taking the upper 8 would leave them all but black.

    **Shape**: uint16 (H, W) → uint8 (H, W).
    """
    low, high = int(values.min()), int(values.max())
    return np.rint((values - np.float32(low)) / max(high - low, 1) * 255).astype(np.uint8)


def window(values: np.ndarray, center: float, width: float, function: str = "LINEAR") -> np.ndarray:
    """Values → 0..1 by a VOI window.

    Reference: DICOM PS3.3 C.11.2.1.2 (LINEAR) and C.11.2.1.3 (SIGMOID, LINEAR_EXACT).
    """
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise ValueError(f"unknown VOI LUT function {function[:20]!r}")
    if not (width >= 1 if function == "LINEAR" else width > 0):
        raise ValueError(f"window width {width:g} is not allowed")
    if function == "SIGMOID":
        return expit(4 * (values - center) / width)
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0, 1)
    if width == 1:  # the standard's limit: a step
        return (values > center - 0.5).astype(np.float32)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def _is_plain(stored: np.ndarray, dataset: Dataset) -> bool:
    # A rescale alone moves the whole range and so changes nothing, unless it turns it round.
    slope = _number(dataset, "RescaleSlope", 1)
    return (
        stored.dtype == np.uint8
        and dataset.BitsStored == 8
        and not dataset.get("ModalityLUTSequence")
        and not dataset.get("VOILUTSequence")
        and _number(dataset, "WindowCenter") is None
        and dataset.get("PixelPaddingValue") is None
        and slope > 0
    )


def _rescaled(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Values after the modality LUT or the rescale; a slope that is missing or blank is no rescale, as in pydicom."""
    if dataset.get("ModalityLUTSequence"):
        return apply_modality_lut(stored, dataset)
    slope = _number(dataset, "RescaleSlope")
    return stored if slope is None else stored.astype(np.float64) * slope + _number(dataset, "RescaleIntercept", 0)


def _unit_range(values: np.ndarray, padding: np.ndarray | None, dataset: Dataset) -> np.ndarray:
    """Displayed values, 0..1 where they are in range."""
    if dataset.get("VOILUTSequence"):
        bits = dataset.VOILUTSequence[0].LUTDescriptor[2]
        return apply_voi(values.astype(np.int32), dataset).astype(np.float32) / (2**bits - 1)
    center, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
    if center is not None and width is not None:
        return window(values, center, width, dataset.get("VOILUTFunction") or "LINEAR")
    low, high = _range(values, padding, dataset)
    return (values - low) / max(high - low, np.float32(1e-12))


def _range(values: np.ndarray, padding: np.ndarray | None, dataset: Dataset) -> tuple[float, float]:
    if dataset.BitsStored <= 8 and not dataset.get("ModalityLUTSequence"):
        ends = np.array([0, 2**dataset.BitsStored - 1], float)
        if dataset.get("PixelRepresentation") == 1:
            ends -= 2 ** (dataset.BitsStored - 1)
        ends = ends * _number(dataset, "RescaleSlope", 1) + _number(dataset, "RescaleIntercept", 0)
        return ends.min(), ends.max()
    inside = values if padding is None or padding.all() else values[~padding]
    return inside.min(), inside.max()


def _padding(stored: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return None
    last = dataset.get("PixelPaddingRangeLimit", first)
    return (stored >= min(first, last)) & (stored <= max(first, last))


def _number(dataset: Dataset, keyword: str, otherwise: float | None = None) -> float | None:
    """Value of an element, the first of several; `otherwise` where it is missing or blank."""
    value = dataset.get(keyword)
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    if value is None or value == "":
        return otherwise
    if not math.isfinite(value) or (keyword == "RescaleSlope" and value == 0):
        raise ValueError(f"{keyword} is {value}")
    return float(value)
