"""The sweep against brute force: every cell labelled anew with SciPy and with OpenCV."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from pneumo_lib import metrics
from pneumo_lib.errors import SweepError
from pneumo_lib.evaluation import postprocessing
from pneumo_lib.evaluation.sweep import sweep
from pneumo_lib.evaluation.sweep_kernels import TOUCHING
from pneumo_lib.evaluation.sweep_result import SweepResult
from pneumo_lib.published import DECK_BINARIZATION_THRESHOLDS, DECK_REMOVAL_THRESHOLDS

B = np.arange(10, 100, 10) / 100
R = [0, 1, 2, 5, 17, 60]


def spiral(size):
    """A one-pixel path winding inwards: the deepest tree that union-find can meet."""
    out = np.zeros((size, size), np.float32)
    top, left, bottom, right = 0, 0, size - 1, size - 1
    level = iter(np.linspace(0.95, 0.05, size * size))
    while top <= bottom and left <= right:
        path = [(top, c) for c in range(left, right + 1)] + [(r, right) for r in range(top + 1, bottom + 1)]
        path += [(bottom, c) for c in range(right - 1, left, -1)]
        for r, c in path:
            out[r, c] = next(level)
        top, left, bottom, right = top + 2, left + 2, bottom - 2, right - 2
    return out


def adversarial(size=20):
    rng = np.random.default_rng(3)
    rows, columns = np.indices((size, size))
    one_pixel = np.zeros((size, size))
    one_pixel[7, 4] = 1
    corner = np.zeros((size, size))
    corner[-1, -1] = corner[0, 0] = 0.55
    return {
        "checkerboard": (rows + columns) % 2 * 0.8,
        "checkerboard rising": (rows + columns) % 2 * np.linspace(0, 1, size * size).reshape(size, size),
        "spiral": spiral(size),
        "spiral reversed": (1 - spiral(size)) * (spiral(size) > 0),
        "plateau": np.where(rows < 9, 0.5, np.where(columns < 9, 0.3, 0.7)),
        "all 0": np.zeros((size, size)),
        "all 1": np.ones((size, size)),
        "equal to thresholds": rng.choice(B.astype(np.float32), (size, size)),
        "next to thresholds": np.nextafter(rng.choice(B.astype(np.float32), (size, size)), np.float32(1)),
        "one pixel": one_pixel,
        "corners": corner,
        "diagonals": (rows == columns) * 0.9 + (rows == columns + 3) * 0.45,
        "stripes": rows % 2 * 0.6 + (columns == 5) * (1 - rows % 2) * 0.35,
        "noise": rng.random((size, size)),
        "smooth": ndimage.gaussian_filter(rng.random((size, size)), 2) * 2 % 1,
        "negative zero": -np.zeros((size, size)),
    }


def surviving_with_scipy(mask, minimum):
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())
    return mask & (areas[labels] >= minimum)


def surviving_with_opencv(mask, minimum):
    n, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    out = np.zeros_like(mask)
    for label in range(1, n):
        if stats[label, cv2.CC_STAT_AREA] >= minimum:
            out |= labels == label
    return out


def assert_every_cell(result, probability, truth, surviving):
    thresholds = result.binarization_thresholds.astype(np.float32)
    for n, p in enumerate(probability.astype(np.float32)):
        for b, threshold in enumerate(thresholds):
            for r, minimum in enumerate(result.removal_thresholds):
                mask = surviving(p > threshold, minimum)
                cell = (result.predicted_px[n, b, r], result.intersection_px[n, b, r])
                assert cell == (mask.sum(), (mask & truth[n]).sum()), (n, threshold, minimum)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("surviving", [surviving_with_scipy, surviving_with_opencv])
def test_every_cell_of_adversarial_maps(dtype, surviving):
    maps = adversarial()
    probability = np.stack(list(maps.values())).astype(dtype)
    truth = np.random.default_rng(0).random(probability.shape) > 0.6
    result = sweep(probability, truth, B, R)
    assert_every_cell(result, probability, truth, surviving)
    assert (result.truth_px == truth.sum((1, 2))).all()
    assert result.predicted_px.dtype == result.intersection_px.dtype == result.truth_px.dtype == np.int32


@settings(max_examples=60)
@given(
    arrays(np.float32, (2, 7, 5), elements=st.sampled_from([0, 0.1, 0.30000001, 0.5, 0.75, 1])),
    arrays(bool, (2, 7, 5)),
    st.sampled_from([np.float16, np.float32]),
)
def test_every_cell_of_small_maps(probability, truth, dtype):
    probability = probability.astype(dtype)
    result = sweep(probability, truth, [0.1, 0.3, 0.5, 0.74], [1, 2, 4, 9])
    assert_every_cell(result, probability, truth, surviving_with_scipy)


def test_every_deck_threshold_of_a_smooth_map():
    rng = np.random.default_rng(1)
    probability = ndimage.gaussian_filter(rng.random((2, 48, 64)), (0, 3, 3))
    probability = ((probability - probability.min()) / np.ptp(probability)).astype(np.float32)
    truth = probability > 0.55
    result = sweep(probability, truth, removal_thresholds=[4, 64, 256])
    assert result.predicted_px.shape == (2, 701, 3)
    assert_every_cell(result, probability, truth, surviving_with_scipy)


def test_every_cell_of_a_network_map(tiny_maps):
    truth = tiny_maps > np.quantile(tiny_maps, 0.8)
    thresholds = np.unique(np.quantile(tiny_maps, np.linspace(0.02, 0.98, 25)).astype(np.float32))
    result = sweep(tiny_maps, truth, thresholds, [1, 16, 48, 64])
    assert_every_cell(result, tiny_maps, truth, surviving_with_opencv)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_every_cell_of_the_rules_on_whole_masks(dtype):
    probability = np.stack(list(adversarial().values())).astype(dtype)
    truth = np.random.default_rng(0).random(probability.shape) > 0.6
    pairs = [(0.3, 5), (0.5, 0), (0.5, 1), (0.7, 40), (0.95, 2)]
    by_mask, by_triplet = sweep(probability, truth, B, R, "mask"), sweep(probability, truth, B, pairs, "triplet")
    for n, p in enumerate(probability.astype(np.float32)):
        for b, bottom in enumerate(B.astype(np.float32)):
            mask = p > bottom
            for r, minimum in enumerate(R):
                stays = mask & (mask.sum() >= minimum)
                assert by_mask.predicted_px[n, b, r] == stays.sum()
                assert by_mask.intersection_px[n, b, r] == (stays & truth[n]).sum()
            for r, (top, minimum) in enumerate(pairs):
                stays = mask & ((p > np.float32(top)).sum() >= minimum)
                assert by_triplet.predicted_px[n, b, r] == stays.sum()
                assert by_triplet.intersection_px[n, b, r] == (stays & truth[n]).sum()


@pytest.mark.parametrize(("rule", "thresholds"), [("component", R), ("mask", R), ("triplet", [(0.4, 3), (0.8, 30)])])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_applying_a_choice_gives_the_swept_counts(rule, thresholds, dtype):
    probability = np.stack(list(adversarial().values())).astype(dtype)
    truth = np.random.default_rng(0).random(probability.shape) > 0.6
    result = sweep(probability, truth, B, thresholds, rule)
    for b in B:
        for r in thresholds:
            mask = postprocessing.apply(probability, b, r, rule)
            counts = result.at(b, r)
            assert all((a == e).all() for a, e in zip(metrics.pixel_counts(mask, truth), counts, strict=True))
    one, all_of_them = (postprocessing.apply(p, B[2], thresholds[1], rule) for p in (probability[3], probability))
    assert (one == all_of_them[3]).all()


def test_a_threshold_is_strict_and_in_float32():
    # 0.7 in double precision is above its float32 neighbour, so a comparison in double precision would differ.
    probability = np.array([[[0.7, np.nextafter(np.float32(0.7), np.float32(1))]]], np.float32)
    result = sweep(probability, np.ones((1, 1, 2), bool), [0.7], [1])
    assert result.predicted_px.item() == 1


def test_diagonal_neighbours_are_one_component_and_r_th_is_kept_when_met():
    probability = np.eye(4, dtype=np.float32)[None]
    result = sweep(probability, probability > 0, [0.5], [3, 4, 5])
    assert result.predicted_px.ravel().tolist() == [4, 4, 0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 200)])
def test_thin_maps(shape):
    probability = np.random.default_rng(0).random((3, *shape)).astype(np.float32)
    truth = probability > 0.4
    assert_every_cell(sweep(probability, truth, B, R), probability, truth, surviving_with_scipy)


@pytest.mark.parametrize("thresholds", [np.array([-0.5, 0, 0.25, 1, 2]), np.array([0.5]), np.arange(1, 7001) / 7001])
def test_any_increasing_thresholds(thresholds):
    probability = np.concatenate([np.random.default_rng(0).random((1, 6, 6)), np.zeros((1, 6, 6)), np.ones((1, 6, 6))])
    probability = probability.astype(np.float32)
    result = sweep(probability, np.ones(probability.shape, bool), thresholds, [0])
    expected = (probability[:, None] > thresholds.astype(np.float32)[:, None, None]).sum((2, 3))
    assert (result.predicted_px[:, :, 0] == expected).all()


def test_maps_may_come_from_a_file_or_an_iterator(tmp_path):
    rng = np.random.default_rng(0)
    probability, truth = rng.random((9, 16, 16)).astype(np.float32), rng.random((9, 16, 16)) > 0.5
    np.save(tmp_path / "maps.npy", probability)
    expected = sweep(probability, truth, B, R, threads=1)
    sources = (np.load(tmp_path / "maps.npy", mmap_mode="r"), (p for p in probability), list(probability))
    for source in sources:
        result = sweep(source, truth.astype(np.uint8), B, R, threads=3)
        assert (result.predicted_px == expected.predicted_px).all()
        assert (result.intersection_px == expected.intersection_px).all()


def test_an_iterator_is_read_no_further_than_the_threads_need():
    read, kept = [], []

    class Map(np.ndarray):
        def __del__(self):
            kept.remove(1)

    def maps():
        for n in range(30):
            kept.append(1)
            read.append(len(kept))
            yield np.full((8, 8), n / 30, np.float32).view(Map)

    sweep(maps(), np.ones((30, 8, 8), bool), B, R, threads=2)
    assert max(read) <= 4  # one in work and one at hand for each of the two threads


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_predicted_pixels_fall_with_both_thresholds(seed):
    rng = np.random.default_rng(seed)
    probability = rng.random((1, 12, 12)).astype(np.float32)
    result = sweep(probability, rng.random((1, 12, 12)) > 0.5, B, R)
    assert (np.diff(result.predicted_px, axis=1) <= 0).all()
    assert (np.diff(result.predicted_px, axis=2) <= 0).all()
    assert (result.intersection_px <= np.minimum(result.predicted_px, result.truth_px[:, None, None])).all()


def test_scores_are_those_of_the_masks():
    rng = np.random.default_rng(0)
    probability, truth = rng.random((5, 16, 16)).astype(np.float32), rng.random((5, 16, 16)) > 0.8
    truth[:2] = False
    result = sweep(probability, truth, [0.3, 0.95, 0.9999], [1, 4])
    for name in ("dsc", "iou", "stepwise_iou"):
        scores = getattr(result, name)()
        for b, r in np.ndindex(3, 2):
            mask = postprocessing.apply(probability, result.binarization_thresholds[b], result.removal_thresholds[r])
            assert (scores[:, b, r] == getattr(metrics, name)(mask, truth)).all()
        assert np.allclose(result.mean(name), scores.mean(0), rtol=0, atol=1e-12)  # another order of summation


def result_with_mean_dsc(mean):
    """A sweep of one image whose DSC is `mean` (B, R), in twentieths."""
    intersection = np.round(np.asarray(mean) * 20).astype(np.int32)
    bs, rs = np.arange(1, 1 + len(intersection)) / 10, np.arange(1, 1 + intersection.shape[1])
    return SweepResult(np.full_like(intersection, 20)[None], intersection[None], np.array([20], np.int32), bs, rs)


def test_best_takes_the_middle_of_the_longest_plateau():
    columns = np.array([[0.5, 0.9, 0.1, 0.9, 0.9, 0.9, 0.1], [0.1, 0.9, 0.9, 0.9, 0.9, 0.2, 0.3]]).T
    choice = result_with_mean_dsc(columns).best("dsc")
    assert choice == (
        0.3,
        2,
        0.9,
        "component",
    )  # four of R-TH 2 (0.2 to 0.5) beat three of R-TH 1; the lower of two middles
    assert result_with_mean_dsc(columns[:, :1]).best("dsc") == (0.5, 1, 0.9, "component")
    assert result_with_mean_dsc(np.full((3, 2), 0.5)).best("dsc") == (0.2, 1, 0.5, "component")


def test_at_and_its_errors():
    result = sweep(np.zeros((1, 2, 2), np.float32), np.zeros((1, 2, 2), bool), [0.2, 0.48], [64, 128])
    assert metrics.dsc_from_counts(*result.at(0.48, 128)) == 1
    with pytest.raises(SweepError, match="was not swept.*0.2 to 0.48.*64, 128"):
        result.at(0.5, 128)
    with pytest.raises(SweepError, match="unknown metric 'dice'; choose from dsc"):
        result.best("dice")


def test_table_has_every_cell_and_splits_positive_and_negative():
    probability = np.array([[[0.9, 0.9]], [[0.3, 0.0]]], np.float32)
    truth = np.array([[[1, 0]], [[0, 0]]], np.uint8)
    table = sweep(probability, truth, [0.2, 0.5], [1, 2]).table("dsc")
    assert table.columns.tolist() == ["binarization_threshold", "removal_threshold", "all", "positive", "negative"]
    assert table.to_numpy().tolist() == [
        [0.2, 1, (2 / 3 + 0) / 2, 2 / 3, 0],
        [0.2, 2, (2 / 3 + 1) / 2, 2 / 3, 1],
        [0.5, 1, (2 / 3 + 1) / 2, 2 / 3, 1],
        [0.5, 2, (2 / 3 + 1) / 2, 2 / 3, 1],
    ]
    assert sweep(probability[:1], truth[:1], [0.2], [1]).table()["negative"].isna().all()
    triplet = sweep(probability, truth, [0.2], [(0.5, 2), (0.95, 1)], "triplet")
    assert triplet.table()[["top_threshold", "removal_threshold"]].to_numpy().tolist() == [[0.5, 2], [0.95, 1]]
    assert triplet.best().removal_threshold == (0.5, 2) and triplet.best().rule == "triplet"


def test_the_deck_grids():
    assert len(DECK_BINARIZATION_THRESHOLDS) == 701
    assert DECK_BINARIZATION_THRESHOLDS[[0, 280, 700]].tolist() == [0.2, 0.48, 0.9]
    assert DECK_REMOVAL_THRESHOLDS.tolist() == [1024, 2048, 3072, 4096]
    assert postprocessing.removal_grid().tolist() == [0, 64, 128, 256, 512, 1024, 2048, 3072, 4096]


def test_neighbours_that_touch_are_looked_up_once():
    groups = TOUCHING & 7
    assert groups.max() == 4
    assert groups[0b000_010_000] == 0  # the pixel itself does not count
    assert groups[0b111_111_111] == 1
    assert groups[0b101_000_101] == 4
    assert groups[0b010_000_010] == 2
    assert groups[0b010_101_010] == 1  # the four sides touch each other diagonally


OK = np.zeros((2, 4, 4), np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": OK + np.nan}, "probability 0 holds NaN"),
        ({"probability": (OK + np.nan).astype(np.float16)}, "probability 0 holds NaN"),
        ({"probability": OK + 1.5}, "outside 0..1; apply the sigmoid"),
        ({"probability": (OK - 0.5).astype(np.float16)}, "outside 0..1"),
        ({"probability": OK.astype(np.uint8)}, "type uint8; pass float16 or float32"),
        ({"probability": OK[:, :3]}, r"shape \(2, 3, 4\) and truth \(2, 4, 4\)"),
        ({"probability": list(OK[:, :3])}, r"probability 0 has shape \(3, 4\)"),
        ({"probability": list(OK[:1])}, "has 1 maps for 2 truths"),
        ({"probability": list(np.concatenate([OK, OK]))}, "more than the 2 maps"),
        ({"truth": OK}, "truth is float32"),
        ({"truth": OK.astype(bool)[0]}, "masks \\(N, H, W\\)"),
        ({"truth": OK.astype(np.uint8) + 255}, "truth 0 holds values other than 0 and 1"),
        ({"truth": OK.astype(bool)[:0], "probability": OK[:0]}, "at least one"),
        ({"binarization_thresholds": [0.5, 0.5]}, "binarization_thresholds must be increasing"),
        ({"binarization_thresholds": [0.5, 0.5 + 1e-9]}, "different as float32"),
        ({"binarization_thresholds": []}, "at least one"),
        ({"binarization_thresholds": [np.nan]}, "increasing numbers"),
        ({"removal_thresholds": [2, 1]}, "removal_thresholds must be increasing"),
        ({"removal_thresholds": [1.5]}, "whole numbers"),
        ({"removal_thresholds": [-1]}, "0 or more"),
        ({"rule": "triplet"}, "pairs"),
        ({"rule": "largest"}, "choose from component, mask, triplet"),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_errors_name_the_argument_and_the_remedy(arguments, message, threads):
    defaults = {
        "probability": OK,
        "truth": OK.astype(bool),
        "binarization_thresholds": [0.5],
        "removal_thresholds": [1],
    }
    with pytest.raises(SweepError, match=message) as caught:
        sweep(**defaults | arguments | {"threads": threads})
    assert "\n" not in str(caught.value)


def test_an_error_of_the_iterator_is_passed_on():
    def maps():
        yield OK[0]
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        sweep(maps(), OK.astype(bool), [0.5], [1])


def test_apply_refuses_unknown_rules_and_shapes():
    with pytest.raises(SweepError, match="choose from"):
        postprocessing.apply(OK, 0.5, 1, "largest")
    with pytest.raises(SweepError, match="pass \\(H, W\\)"):
        postprocessing.apply(OK[0, 0], 0.5, 1)
