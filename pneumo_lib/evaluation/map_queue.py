"""Probability maps with their true masks, checked and handed out one by one to several threads."""

import threading
from collections.abc import Iterable, Iterator

import numpy as np

from pneumo_lib.errors import PneumoError


class SweepError(PneumoError):
    """Maps, masks or thresholds that cannot be swept."""


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
    truth = np.asanyarray(truth)
    if truth.ndim != 3 or truth.size == 0 or truth.dtype not in (bool, np.uint8):
        raise SweepError(f"truth is {truth.dtype} {truth.shape}; pass bool or uint8 masks (N, H, W), at least one.")
    return truth


def _checked_map(n: int, probability: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    probability = np.asarray(probability)
    if probability.shape != shape:
        raise SweepError(f"probability {n} has shape {probability.shape} and its truth {shape}; they must be the same.")
    if probability.dtype not in (np.float16, np.float32, np.float64):
        raise SweepError(f"probability {n} has type {probability.dtype}; pass float16 or float32 in 0..1.")
    return np.ascontiguousarray(probability, np.float16 if probability.dtype == np.float16 else np.float32)
