"""The common grid: what is enlarged, what the truth is, and how well a perfect predictor can do at each network size."""

import numpy as np
import pandas as pd
import pytest
import torch

from pneumo_lib import metrics
from pneumo_lib.data import rle
from pneumo_lib.data.preprocessing import resize_mask
from pneumo_lib.errors import SiimError
from pneumo_lib.evaluation import scores
from pneumo_lib.evaluation.common_grid import CommonGridMaps, TrueMasks, enlarge
from pneumo_lib.evaluation.postprocessing import removal_grid
from pneumo_lib.evaluation.sweep import sweep


def index(*masks: np.ndarray) -> pd.DataFrame:
    rows = [{"image_id": str(n), "labelled": True, "rle": rle.encode(mask)} for n, mask in enumerate(masks)]
    return pd.DataFrame(rows).assign(
        rle=lambda table: [[text] if text.strip() != "-1" else [] for text in table["rle"]]
    )


def disk(radius: float, at: tuple[int, int] = (400, 500)) -> np.ndarray:
    y, x = np.ogrid[:1024, :1024]
    return (y - at[0]) ** 2 + (x - at[1]) ** 2 <= radius**2


def test_a_map_is_enlarged_as_pytorch_does():
    small = np.random.default_rng(0).random((3, 64, 64), np.float32)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(small)[:, None], size=(512, 512), mode="bilinear")
    # OpenCV and PyTorch round in another order.
    np.testing.assert_allclose(CommonGridMaps(small)[:], wanted[:, 0].numpy(), rtol=0, atol=1e-6)
    assert enlarge(np.ones((512, 512), np.float32)).dtype == np.float32 and len(CommonGridMaps(small)) == 3


def test_true_masks_are_the_challenges_by_area():
    empty, one, full = np.zeros((1024, 1024), bool), np.zeros((1024, 1024), bool), np.ones((1024, 1024), bool)
    one[5, 7] = True
    masks = TrueMasks(index(empty, one, disk(60), full))
    assert [int(mask.sum()) for mask in masks] == [0, 1, int(resize_mask(disk(60), 512).sum()), 512 * 512]
    assert masks.any_pixel().tolist() == [False, True, True, True]
    assert masks[1:3].shape == (2, 512, 512) and (masks[-1] == masks[3]).all() and masks[2].dtype == bool
    with pytest.raises(IndexError):
        masks[4]


def test_an_unlabelled_image_has_no_truth():
    unlabelled = index(disk(50)).assign(labelled=False)
    with pytest.raises(SiimError, match="unlabelled"):
        TrueMasks(unlabelled)[0]


# A network of few pixels cannot draw a thin or small region on the grid: its best possible score is below 1.
@pytest.mark.parametrize(("size", "least"), [(64, 0.93), (128, 0.97), (256, 0.985), (512, 1.0)])
def test_a_perfect_predictor_reaches_what_its_pixels_allow(size, least):
    truth = TrueMasks(index(np.zeros((1024, 1024), bool), disk(25), disk(60), disk(150)))
    maps = np.stack([resize_mask(mask, size).astype(np.float32) for mask in truth])
    result = sweep(CommonGridMaps(maps), truth, removal_thresholds=removal_grid())
    assert result.best("dsc").score >= least


def test_protocols_by_hand():
    truth = TrueMasks(index(disk(60), np.zeros((1024, 1024), bool)))
    found = truth[0].astype(np.float32) * 0.6
    # A false region of 100 pixels, more certain than the true one.
    found[:10, 500:510] = 0.8
    maps = CommonGridMaps(np.stack([found, np.zeros((512, 512), np.float32)]))
    result = sweep(maps, truth, removal_thresholds=removal_grid())
    from pneumo_lib import experiments

    chosen = scores.choose(result)
    counts = scores.protocols(result, result.at(0.75, 0), chosen, experiments.get("exp4"))
    assert list(counts) == list(scores.PROTOCOLS)
    table = scores.compare(counts, None)
    dsc = {name: one["scores"]["dsc"].value for name, one in table.items()}
    assert chosen["validation"].removal_threshold == 128 and dsc["validation"] == 1
    # At 0.75 only the false region is left; with an R-TH of 3,072 the true one of 2,800 pixels is erased.
    assert dsc["no_removal"] == 0.5 and dsc["empty"] == 0.5 and dsc["deck_pair"] == 0.5
    assert dsc["test_deck_grid"] == 1 and table["empty"]["thresholds"] is None
    area = int(truth[0].sum())
    kept = scores.per_image_counts(counts)
    assert kept["predicted_px_validation"].tolist() == [area, 0] and "predicted_px_empty" not in kept
    assert metrics.dsc_from_counts(area, area, area) == 1
