"""Selection gap and optimism: by hand, and against the truth where it is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pneumo_lib import metrics
from pneumo_lib.metrics import MetricError


def test_the_selection_gap_is_the_paired_mean():
    test, validation = np.array([0.9, 0.8, 1, 1, 0.4, 0.6, 0.7]), np.array([0.8, 0.8, 1, 1, 0.5, 0.3, 0.5])
    found = metrics.selection_gap(test, validation)
    assert found.value == pytest.approx(0.5 / 7)
    assert found.low < 0 < found.high and found.method == "t"
    assert metrics.selection_gap(test, test).refused == "images do not vary"
    with pytest.raises(MetricError, match="equal ones"):
        metrics.selection_gap(test, validation[:3])


@given(arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 6)), elements=st.floats(0, 1, width=32)))
def test_optimism_is_never_negative_and_0_without_a_choice(scores):
    found = metrics.optimism(scores, resamples=20)
    assert found.optimism >= 0
    assert found.apparent == pytest.approx(scores.mean(axis=0).max())
    assert found.corrected <= found.apparent
    assert metrics.optimism(scores[:, :1], resamples=20).optimism == 0


def test_optimism_is_what_the_choice_promises_too_much():
    rng, promised, estimated = np.random.default_rng(0), [], []
    for _ in range(150):
        scores = rng.normal(0.5, 0.1, (40, 30))  # all points are equally good: what the best one has above 0.5 is luck
        found = metrics.optimism(scores, resamples=60)
        promised.append(found.apparent - 0.5)
        estimated.append(found.optimism)
    # A resample's luck is added to that of the images, so the estimate is sqrt(1/2) of the truth where all points are equal:
    # the best of sums of two normals, of which one is kept. Fewer than infinite images and repeats: 10 %.
    assert np.mean(estimated) / np.mean(promised) == pytest.approx(0.5**0.5, rel=0.1)


def test_optimism_draws_patients():
    scores = np.random.default_rng(0).normal(0.5, 0.1, (30, 10))
    copied = metrics.optimism(np.repeat(scores, 20, axis=0), np.repeat(np.arange(30), 20))
    once = metrics.optimism(scores, np.arange(30))
    assert copied.optimism == pytest.approx(once.optimism, rel=1e-4)  # float32 sums
    assert metrics.optimism(np.repeat(scores, 20, axis=0)).optimism < 0.5 * once.optimism


def test_the_monte_carlo_error_is_the_spread_over_random_streams():
    scores = np.random.default_rng(0).normal(0.5, 0.1, (30, 10))
    found = [metrics.optimism(scores, resamples=50, seed=seed) for seed in range(60)]
    # A standard deviation from 60 is known to 9 %; three of that.
    assert np.std([each.optimism for each in found]) == pytest.approx(found[0].monte_carlo_error, rel=0.4)


def test_errors():
    for scores in ([1, 2], [[np.nan]]):
        with pytest.raises(MetricError, match="one column per grid point"):
            metrics.optimism(scores)
