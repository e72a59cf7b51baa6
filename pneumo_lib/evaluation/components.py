"""The sweep's hot loops: one pass over a map's pixels, from the most probable down, gives every threshold's counts.

As the binarization threshold falls, pixels only ever appear and components only ever merge. So the pixels are sorted
once (by the number of thresholds that they exceed, a counting sort), and union-find follows the components while they
grow. The root of each carries its area and its overlap with the truth, and running totals say how much of both lies in
components that survive each removal threshold. The cost depends on the number of pixels, not on that of thresholds.

The functions release the interpreter's lock, so that threads can work on a map each.
"""

import numpy as np
from numba import njit

BUCKETS = 1 << 16  # a power of two: p * BUCKETS is then exact in float32, and its order that of p
NOT_A_PROBABILITY = -1

# The ring of neighbours of a pixel, clockwise from the upper left, as (row, column) steps.
RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def bucket_starts(thresholds: np.ndarray) -> np.ndarray:
    """How many thresholds lie in the buckets below each one; int32 (BUCKETS + 1,).

    With it, the number of thresholds below p is found by comparing p with those of its own bucket only.
    """
    bucket = np.floor(thresholds.astype(np.float64) * BUCKETS)
    return np.searchsorted(bucket, np.arange(BUCKETS + 1), side="left").astype(np.int32)


def half_levels(thresholds: np.ndarray) -> np.ndarray:
    """How many thresholds each of the 65,536 float16 values exceeds, by its bits; -1 for those outside 0..1."""
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    levels = np.searchsorted(thresholds, values, side="left").astype(np.int32)
    return np.where((values >= 0) & (values <= 1), levels, NOT_A_PROBABILITY).astype(np.int32)


def _touching_neighbours() -> np.ndarray:
    """For each of the 256 states of the ring, one neighbour of every group of neighbours that touch each other.

    Neighbours that touch are one component already; looking up one of them is enough. Packed three bits a neighbour,
    above a count in the lowest three bits: at most four groups fit around a pixel.
    """
    table = np.zeros(256, dtype=np.int32)
    for state in range(256):
        chosen, seen = [], set()
        for first in range(8):
            if not state >> first & 1 or first in seen:
                continue
            chosen.append(first)
            group = [first]
            while group:
                here = group.pop()
                seen.add(here)
                for other in range(8):
                    touching = max(abs(RING[here][0] - RING[other][0]), abs(RING[here][1] - RING[other][1])) == 1
                    if touching and state >> other & 1 and other not in seen:
                        group.append(other)
        table[state] = len(chosen) | sum(neighbour << 3 * (i + 1) for i, neighbour in enumerate(chosen))
    return table


TOUCHING = _touching_neighbours()


@njit(nogil=True, cache=True)
def levels_of_single(probability, thresholds, starts, levels):
    """Writes into `levels` how many thresholds each pixel exceeds; float32 maps. False if one is outside 0..1.

    `thresholds` ends with an infinity, so that the search needs no other end.
    """
    for i in range(probability.size):
        p = probability[i]
        if not (p >= 0 and p <= 1):  # so written, it catches NaN as well
            return False
        level = starts[int(p * BUCKETS)]
        while thresholds[level] < p:
            level += 1
        levels[i] = level
    return True


@njit(nogil=True, cache=True)
def levels_of_half(bits, table, levels):
    """The same for float16 maps, given as their bits, by looking each value up."""
    for i in range(bits.size):
        level = table[bits[i]]
        if level < 0:
            return False
        levels[i] = level
    return True


@njit(nogil=True, cache=True)
def threshold_counts(levels, truth, predicted_px, intersection_px):
    """Pixels above each threshold and those of them that are true, into int32 (B,) each; the number of true pixels.

    A truth other than 0 and 1 gives -1.
    """
    predicted_px[:] = 0
    intersection_px[:] = 0
    true_pixels = 0
    for i in range(levels.size):
        if truth[i] > 1:
            return -1
        true_pixels += truth[i]
        level = levels[i]
        if level > 0:
            predicted_px[level - 1] += 1
            intersection_px[level - 1] += truth[i]
    for b in range(predicted_px.size - 2, -1, -1):
        predicted_px[b] += predicted_px[b + 1]
        intersection_px[b] += intersection_px[b + 1]
    return true_pixels


@njit(nogil=True, cache=True)
def sort_pixels(levels, truth, above, width, order):
    """Writes the pixels that exceed a threshold into `order`, the highest level first.

    An entry is twice the pixel's index in the map with a margin of one pixel around it, plus its truth. `above` is
    int32 (B + 1,): the pixels above each threshold, then 0; it is consumed.
    """
    i = 0
    for row in range(levels.size // width):
        padded = (row + 1) * (width + 2) + 1
        for column in range(width):
            level = levels[i]
            if level > 0:
                order[above[level]] = (padded + column) << 1 | truth[i]
                above[level] += 1
            i += 1


@njit(nogil=True, cache=True)
def _root(parent, pixel):
    while parent[pixel] > 0:
        above = parent[pixel]
        if parent[above] > 0:  # path halving
            parent[pixel] = parent[above]
        pixel = above
    return pixel


@njit(nogil=True, cache=True)
def grow_components(order, ends, steps, touching, removals, survivor_rank, parent, hits, predicted_px, intersection_px):
    """Adds the pixels level by level and writes the surviving pixels of every cell, int32 (B, R) each.

    Args:
        order: int32, the pixels as `sort_pixels` leaves them.
        ends: int32 (B,), how many pixels exceed each threshold.
        steps: int32 (8,), the ring's steps in the map with its margin.
        touching: the table of `_touching_neighbours`.
        removals: how many removal thresholds, R.
        survivor_rank: how many removal thresholds an area of 0, 1, 2, ... pixels meets; the last entry is for all
            larger areas.
        parent, hits: int32, as many as the map with its margin has pixels. `parent` is 0 where a pixel is off, minus
            the area at a root, else the pixel above; `hits` is the number of true pixels, at a root.
    """
    parent[:] = 0
    largest = survivor_rank.size - 1
    area_of_rank = np.zeros(removals + 1, np.int64)
    hits_of_rank = np.zeros(removals + 1, np.int64)
    done = 0
    for b in range(ends.size - 1, -1, -1):
        for k in range(done, ends[b]):
            pixel = order[k] >> 1
            hit = order[k] & 1
            state = 0
            for side in range(8):
                state |= (parent[pixel + steps[side]] != 0) << side
            groups = touching[state]
            root = pixel
            area = 1
            for _ in range(groups & 7):
                groups >>= 3
                other = _root(parent, pixel + steps[groups & 7])
                if other == root:
                    continue
                other_area = -parent[other]
                rank = survivor_rank[min(other_area, largest)]
                area_of_rank[rank] -= other_area
                hits_of_rank[rank] -= hits[other]
                hit += hits[other]
                if other_area >= area:
                    parent[root] = other
                    root = other
                else:
                    parent[other] = root
                area += other_area
                parent[root] = -area
            parent[root] = -area
            hits[root] = hit
            rank = survivor_rank[min(area, largest)]
            area_of_rank[rank] += area
            hits_of_rank[rank] += hit
        done = ends[b]
        surviving_area = 0
        surviving_hits = 0
        for r in range(removals - 1, -1, -1):
            surviving_area += area_of_rank[r + 1]
            surviving_hits += hits_of_rank[r + 1]
            predicted_px[b, r] = surviving_area
            intersection_px[b, r] = surviving_hits
