"""Speed of the threshold sweep: `python benchmarks/sweep.py [--maps 2000]`.

Prints the time for all maps with 701 x 4 and with 7,001 x 4 thresholds, for each kind of map, and the time of a loop of
OpenCV's connectedComponentsWithStats over the 701 binarization thresholds, measured on a few of the same maps in the same
run. The maps are drawn one by one; drawing is not counted.
"""

import argparse
import resource
import time

import cv2
import numpy as np

from pneumo_lib.evaluation.sweep import sweep
from pneumo_lib.published import DECK_BINARIZATION_THRESHOLDS, DECK_REMOVAL_THRESHOLDS

SIZE, FINE = 512, np.arange(2000, 9001) / 10000


def blobs(rng: np.random.Generator) -> np.ndarray:
    """As a trained network predicts: near 0, with a few smooth regions."""
    return _sigmoid(2.5 * _smooth(rng, 24) - 4)


def smooth(rng: np.random.Generator) -> np.ndarray:
    """Undecided: two fifths of the pixels above the lowest threshold."""
    return _sigmoid(3 * _smooth(rng, 12) - 2)


def rough(rng: np.random.Generator) -> np.ndarray:
    """Worse than any network: nearly every pixel between the thresholds, thousands of components."""
    return _sigmoid(_smooth(rng, 2))


def noise(rng: np.random.Generator) -> np.ndarray:
    """The worst case: every pixel independent."""
    return rng.random((SIZE, SIZE), np.float32)


def _smooth(rng: np.random.Generator, sigma: float) -> np.ndarray:
    field = cv2.GaussianBlur(rng.standard_normal((SIZE, SIZE), np.float32), (0, 0), sigma)
    return field / field.std()


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def opencv_loop(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Surviving and true pixels (B, R, 2) of one map, a labeling a binarization threshold."""
    cells = np.zeros((len(DECK_BINARIZATION_THRESHOLDS), len(DECK_REMOVAL_THRESHOLDS), 2), np.int64)
    for b, threshold in enumerate(DECK_BINARIZATION_THRESHOLDS.astype(np.float32)):
        mask = (probability > threshold).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        areas = stats[1:, cv2.CC_STAT_AREA]
        hits = np.bincount(labels[truth], minlength=len(stats))[1:]
        for r, minimum in enumerate(DECK_REMOVAL_THRESHOLDS):
            cells[b, r] = areas[areas >= minimum].sum(), hits[areas >= minimum].sum()
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=int, default=2000, help="maps of each kind (default 2000)")
    parser.add_argument("--looped", type=int, default=2, help="of them also by the OpenCV loop (default 2)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    sweep(np.zeros((1, 8, 8), np.float32), np.zeros((1, 8, 8), bool))  # compiles
    print(f"{arguments.maps} maps of {SIZE}x{SIZE}, float32; seconds in all, milliseconds a map of the OpenCV loop")
    print("map     701x4    7001x4   ratio   loop ms/map   times faster")
    for kind in (blobs, smooth, rough, noise):
        pool = np.stack([kind(rng) for _ in range(min(arguments.maps, 50))])
        truth_pool = pool > 0.6
        seconds = dict.fromkeys((len(DECK_BINARIZATION_THRESHOLDS), len(FINE)), 0.0)
        # The 50 maps over and over, in blocks: the results of 2,000 maps at 7,001 thresholds would fill 0.4 GB.
        for start in range(0, arguments.maps, len(pool)):
            n = min(len(pool), arguments.maps - start)
            for thresholds in (DECK_BINARIZATION_THRESHOLDS, FINE):
                begin = time.perf_counter()
                result = sweep(pool[:n], truth_pool[:n], thresholds)
                seconds[len(thresholds)] += time.perf_counter() - begin
                if start == 0 and len(thresholds) == 701:
                    first = result
        begin = time.perf_counter()
        for n in range(arguments.looped):
            cells = opencv_loop(pool[n], truth_pool[n])
            assert (cells == np.stack([first.predicted_px[n], first.intersection_px[n]], -1)).all()
        loop = (time.perf_counter() - begin) / max(arguments.looped, 1)
        coarse, fine = seconds.values()
        print(
            f"{kind.__name__:7} {coarse:6.2f}s  {fine:6.2f}s   {fine / coarse:5.2f}   {loop * 1000:11.0f}   "
            f"{loop / (coarse / arguments.maps):12.0f}",
            flush=True,
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
