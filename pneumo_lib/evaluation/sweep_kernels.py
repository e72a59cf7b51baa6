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
    """For each state of a pixel's 3x3 window, one neighbour of every group of neighbours that touch each other.

    Neighbours that touch are one component already, so looking up one of them is enough; at most four groups fit
    around a pixel. A state has a bit for each of the nine pixels, row by row; the middle one is ignored. Packed: the
    number of groups in the lowest three bits, then three bits for each one's neighbour on the ring.
    """
    touch = [[max(abs(r - s), abs(c - d)) <= 1 for s, d in RING] for r, c in RING]
    table = np.zeros(512, np.int32)
    for state in range(512):
        on = [side for side, (row, column) in enumerate(RING) if state >> (row + 1) * 3 + column + 1 & 1]
        groups = []
        while on:
            group = [on.pop(0)]
            for side in group:
                group += [other for other in on if touch[side][other]]
                on = [other for other in on if other not in group]
            groups.append(group[0])
        table[state] = len(groups) | sum(side << 3 * (i + 1) for i, side in enumerate(groups))
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
    above = parent[pixel]
    while above != pixel:
        parent[pixel] = pixel = parent[above]  # path halving
        above = parent[pixel]
    return pixel


@njit(nogil=True, cache=True)
def _write_surviving(of_rank, predicted_px, intersection_px):
    surviving = 0
    for r in range(predicted_px.size - 1, -1, -1):
        surviving += of_rank[r + 1]
        predicted_px[r] = surviving >> 32
        intersection_px[r] = surviving & 0xFFFFFFFF


@njit(nogil=True, cache=True)
def grow_components(order, ends, steps, touching, rank_of_area, parent, mass, rows, predicted_px, intersection_px):
    """Adds the pixels level by level and writes the surviving pixels of every grid point, int32 (B, R) each.

    Area and true pixels travel together as one number, a mass: area << 32 | true pixels.

    Args:
        order: int32, the pixels as `sort_pixels` leaves them.
        ends: int32 (B,), how many pixels exceed each threshold.
        steps: int32 (8,), the ring's steps in the map with its margin; the sixth goes down.
        touching: the table of `_touching_neighbours`.
        rank_of_area: how many removal thresholds an area of 0, 1, 2, ... pixels meets; the last entry is for all
            larger areas.
        parent: int32, one per pixel of the map with its margin: the pixel above in its tree, itself at a root. Read only
            where a pixel is on, so that it needs no clearing; likewise `mass`, int64, which holds at roots.
        rows: uint8, alike: whether the pixel to the left, the pixel itself and the one to the right are on, a bit each.
    """
    rows[:] = 0
    down = steps[5]
    largest = rank_of_area.size - 1
    of_rank = np.zeros(predicted_px.shape[1] + 1, np.int64)  # the mass of all components that meet so many thresholds
    done = 0
    for b in range(ends.size - 1, -1, -1):
        for k in range(done, ends[b]):
            pixel = order[k] >> 1
            state = rows[pixel - down] | np.int32(rows[pixel]) << 3 | np.int32(rows[pixel + down]) << 6
            rows[pixel - 1] |= 4
            rows[pixel] |= 2
            rows[pixel + 1] |= 1
            root = pixel
            parent[pixel] = pixel
            total = 1 << 32 | (order[k] & 1)
            counted = 0  # the part of the total that `of_rank` holds, at `counted_rank`
            counted_rank = 0
            groups = touching[state]
            for _ in range(groups & 7):
                groups >>= 3
                other = _root(parent, pixel + steps[groups & 7])
                if other == root:
                    continue
                other_mass = mass[other]
                other_rank = rank_of_area[min(other_mass >> 32, largest)]
                if other_mass > total:  # the smaller tree goes below the larger one
                    parent[root] = other
                    root = other
                    of_rank[counted_rank] -= counted
                    counted = other_mass
                    counted_rank = other_rank
                else:
                    parent[other] = root
                    of_rank[other_rank] -= other_mass
                total += other_mass
            mass[root] = total
            rank = rank_of_area[min(total >> 32, largest)]
            if rank == counted_rank:
                of_rank[rank] += total - counted
            else:
                of_rank[counted_rank] -= counted
                of_rank[rank] += total
        done = ends[b]
        _write_surviving(of_rank, predicted_px[b], intersection_px[b])
