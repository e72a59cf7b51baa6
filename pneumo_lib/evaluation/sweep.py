"""Every binarization threshold (B-TH) with every removal threshold (R-TH), exactly, in one pass over each map."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pneumo_lib import published
from pneumo_lib.errors import SweepError
from pneumo_lib.evaluation import postprocessing, sweep_kernels
from pneumo_lib.evaluation.sweep_result import SweepResult
from pneumo_lib.hardware import usable_cores


class MapQueue:
    """Hands out one map after the other to several threads."""

    def __init__(self, probability: Iterable[np.ndarray], truth: np.ndarray):
        if isinstance(probability, np.ndarray) and probability.shape != truth.shape:
            raise SweepError(f"probability has shape {probability.shape} and truth {truth.shape}; pass equal ones.")
        self.maps, self.truth, self.next, self.lock = iter(probability), truth, 0, threading.Lock()

    def __iter__(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The number of a map, the map and its truth, each (H, W), until all are taken or one thread stops."""
        while (item := self._take()) is not None:
            yield item

    def _take(self) -> tuple[int, np.ndarray, np.ndarray] | None:
        with self.lock:
            n = self.next
            if n >= len(self.truth):
                return None
            probability = next(self.maps, None)
            if probability is None:
                raise SweepError(f"probability has {n} maps for {len(self.truth)} truths; pass one for each.")
            self.next += 1
        return n, _checked_map(n, probability, self.truth.shape[1:]), np.ascontiguousarray(self.truth[n])

    def stop(self) -> None:
        """Ends the loops of all threads; one calls it that failed."""
        self.next = len(self.truth)

    def check_end(self) -> None:
        """Raises SweepError if a map is left over."""
        if next(self.maps, None) is not None:
            raise SweepError(f"probability has more than the {len(self.truth)} maps of truth; pass one for each.")


def truth_array(truth: np.ndarray) -> np.ndarray:
    """The masks, known to be bool or uint8 (N, H, W) with at least one pixel.

    Raises:
        SweepError: they are not.
    """
    # Masks that are read one at a time say of themselves what an array would.
    truth = truth if hasattr(truth, "shape") and hasattr(truth, "dtype") else np.asanyarray(truth)
    if len(truth.shape) != 3 or 0 in truth.shape or truth.dtype not in (bool, np.uint8):
        raise SweepError(f"truth is {truth.dtype} {truth.shape}; pass bool or uint8 masks (N, H, W), at least one.")
    return truth


def _checked_map(n: int, probability: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    probability = np.asarray(probability)
    if probability.shape != shape:
        raise SweepError(f"probability {n} has shape {probability.shape} and its truth {shape}; they must be the same.")
    if probability.dtype not in (np.float16, np.float32, np.float64):
        raise SweepError(f"probability {n} has type {probability.dtype}; pass float16 or float32 in 0..1.")
    return np.ascontiguousarray(probability, np.float16 if probability.dtype == np.float16 else np.float32)


def sweep(
    probability: Iterable[np.ndarray],
    truth: np.ndarray,
    binarization_thresholds: Iterable[float] = published.DECK_BINARIZATION_THRESHOLDS,
    removal_thresholds: Iterable = published.DECK_REMOVAL_THRESHOLDS,
    rule: str = "component",
    threads: int | None = None,
) -> SweepResult:
    """Counts, for every image, the pixels that each pair of thresholds predicts and those of them that are true.

    Args:
        probability: N maps (H, W), float16 or float32 in 0..1: an array, a memory map or an iterator, read one map a
            thread. float64 maps are rounded to float32.
        truth: (N, H, W) bool or uint8 of 0 and 1, or `common_grid.TrueMasks`.
        binarization_thresholds: (B,) increasing. A pixel is on where p > B-TH, both in float32.
        removal_thresholds: (R,) increasing whole numbers of pixels at the maps' resolution; for rule "triplet" (R, 2),
            pairs (top threshold, minimum area).
        rule: "component" (the deck): an 8-connected component stays where its area >= R-TH.
            "mask" (the follow-up code): the whole mask stays where its area >= R-TH.
            "triplet" (the challenge's first place): the whole mask stays where at least the minimum area exceeds the
            top threshold.
        threads: at a time; by default one a processor.

    Returns:
        SweepResult with int32 counts (N, B, R).

    Raises:
        SweepError: p outside 0..1 or NaN, truth other than 0 and 1, shapes or numbers of maps that differ, thresholds
            that are not increasing, or an unknown rule.

    Differs from the paper: nothing in the result; one labeling of components for every pair would give the same counts.
    """
    truth = truth_array(truth)
    binarization_thresholds = np.asarray(list(binarization_thresholds))
    binarization = _increasing("binarization_thresholds", binarization_thresholds, np.float32)
    removal = _checked_removal(removal_thresholds, rule)
    shape = (len(truth), len(binarization), len(removal))
    result = SweepResult(
        predicted_px=np.zeros(shape, np.int32),
        intersection_px=np.zeros(shape, np.int32),
        truth_px=np.zeros(len(truth), np.int32),
        binarization_thresholds=binarization_thresholds.astype(np.float64),
        removal_thresholds=removal,
        rule=rule,
    )
    queue = MapQueue(probability, truth)
    threads = min(threads or usable_cores(), len(truth))
    with ThreadPoolExecutor(threads) as pool:
        for worker in [pool.submit(_work, queue, result, binarization) for _ in range(threads)]:
            worker.result()
    queue.check_end()
    return result


class _Scratch:
    """The working memory of one thread: a few integers per pixel."""

    def __init__(self, shape: tuple[int, int], thresholds: np.ndarray):
        pixels, padded = shape[0] * shape[1], (shape[0] + 2) * (shape[1] + 2)
        self.shape = shape
        self.thresholds = np.append(thresholds, np.float32(np.inf)).astype(np.float32)
        self.starts = sweep_kernels.bucket_starts(thresholds)
        self.half = sweep_kernels.half_levels(thresholds)
        self.levels = np.empty(pixels, np.int32)
        self.order = np.empty(pixels, np.int32)
        self.parent, self.mass = np.empty(padded, np.int32), np.empty(padded, np.int64)
        self.rows = np.empty(padded, np.uint8)
        self.above, self.above_true = np.empty(len(thresholds), np.int32), np.empty(len(thresholds), np.int32)
        self.steps = np.array([row * (shape[1] + 2) + column for row, column in sweep_kernels.RING], np.int32)

    def count(self, n: int, probability: np.ndarray, truth: np.ndarray) -> int:
        """Fills `levels`, `above` and `above_true` of a map; the number of true pixels."""
        if probability.dtype == np.float16:
            valid = sweep_kernels.levels_of_half(probability.view(np.uint16).ravel(), self.half, self.levels)
        else:
            valid = sweep_kernels.levels_of_single(probability.ravel(), self.thresholds, self.starts, self.levels)
        if not valid:
            raise SweepError(f"probability {n} holds NaN or a value outside 0..1; apply the sigmoid to logits first.")
        true_px = sweep_kernels.threshold_counts(self.levels, truth, self.above, self.above_true)
        if true_px < 0:
            raise SweepError(f"truth {n} holds values other than 0 and 1; pass truth > 0.")
        return true_px


def _work(queue: MapQueue, result: SweepResult, binarization: np.ndarray) -> None:
    count = _sweep_components if result.rule == "component" else _sweep_masks
    try:
        count(queue, result, binarization)
    except BaseException:
        queue.stop()
        raise


def _sweep_components(queue: MapQueue, result: SweepResult, binarization: np.ndarray) -> None:
    removal = result.removal_thresholds
    scratch = _Scratch(queue.truth.shape[1:], binarization)
    # Areas beyond the largest removal threshold meet them all, so the table ends there.
    ranks = np.searchsorted(removal, np.arange(min(removal[-1], scratch.levels.size) + 1), side="right").astype(
        np.int32
    )
    for n, probability, truth in queue:
        truth = truth.ravel().view(np.uint8)
        result.truth_px[n] = scratch.count(n, probability, truth)
        filled = np.append(scratch.above, np.int32(0))
        sweep_kernels.sort_pixels(scratch.levels, truth, filled, scratch.shape[1], scratch.order)
        sweep_kernels.grow_components(
            scratch.order,
            scratch.above,
            scratch.steps,
            sweep_kernels.TOUCHING,
            ranks,
            scratch.parent,
            scratch.mass,
            scratch.rows,
            result.predicted_px[n],
            result.intersection_px[n],
        )


def _sweep_masks(queue: MapQueue, result: SweepResult, binarization: np.ndarray) -> None:
    """Rules on the whole mask: they need the counts above thresholds only, no components."""
    if result.rule == "triplet":
        top, minimum = result.removal_thresholds[:, 0].astype(np.float32), result.removal_thresholds[:, 1]
    else:
        top, minimum = binarization, result.removal_thresholds
    levels = np.unique(np.concatenate([binarization, top]))
    at_bottom, at_top = np.searchsorted(levels, binarization), np.searchsorted(levels, top)
    scratch = _Scratch(queue.truth.shape[1:], levels)
    for n, probability, truth in queue:
        result.truth_px[n] = scratch.count(n, probability, truth.ravel().view(np.uint8))
        judged = scratch.above[at_top] if result.rule == "triplet" else scratch.above[at_top][:, None]
        stays = judged >= minimum
        result.predicted_px[n] = scratch.above[at_bottom][:, None] * stays
        result.intersection_px[n] = scratch.above_true[at_bottom][:, None] * stays


def _increasing(name: str, values: Iterable, dtype: type) -> np.ndarray:
    values = np.asarray(list(values))
    cast = values.astype(dtype) if values.ndim == 1 and values.dtype.kind in "iuf" else np.empty(0)
    if cast.size == 0 or not np.isfinite(cast).all() or (np.diff(cast) <= 0).any():
        raise SweepError(f"{name} must be increasing numbers, at least one, different as {np.dtype(dtype).name}.")
    return cast


def _checked_removal(thresholds: Iterable, rule: str) -> np.ndarray:
    if rule not in postprocessing.RULES:
        raise SweepError(f"unknown rule {rule!r}; choose from {', '.join(postprocessing.RULES)}.")
    if rule == "triplet":
        pairs = np.asarray(list(thresholds), np.float64)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.isfinite(pairs).all():
            raise SweepError("removal_thresholds of rule triplet must be pairs (top threshold, minimum area).")
        return pairs
    removal = _increasing("removal_thresholds", thresholds, np.float64)
    if (removal != np.floor(removal)).any() or removal[0] < 0:
        raise SweepError("removal_thresholds must be whole numbers of pixels, 0 or more.")
    return removal.astype(np.int64)
