"""What each transform adds: the same masks as predicting with it, and the arithmetic of the table."""

import numpy as np
import pandas as pd
import pytest

from pneumo_lib import metrics, parameters
from pneumo_lib.errors import ParameterError, SweepError
from pneumo_lib.evaluation import postprocessing, tta, tta_effects
from pneumo_lib.evaluation.common_grid import CommonGridMaps
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.evaluation.transforms import TRANSFORMS
from pneumo_lib.evaluation.tta_effects import Effects


def test_every_set_scores_as_a_prediction_with_it(network, images):
    plain = tta.predict(network, images, ())
    threshold = float(np.median(plain))
    truth = CommonGridMaps(tta.predict(network, images, ("flip",), seed=9))[:] > threshold
    chosen, again = Thresholds(threshold, 512, 0.0), Thresholds(threshold / 2, 0, 0.0)
    effects = tta_effects.measure(network, images, truth, chosen, batch_size=3, seed=1, again=again)
    sets = {"none": (), **{name: (name,) for name in TRANSFORMS}, "all seven": tuple(TRANSFORMS)}
    assert list(effects.dsc) == [*sets, tta_effects.ANEW] == list(effects.seconds)
    for name, transforms in (sets | {tta_effects.ANEW: tuple(TRANSFORMS)}).items():
        maps = CommonGridMaps(tta.predict(network, images, transforms, batch_size=3, seed=1))[:]
        at = again if name == tta_effects.ANEW else chosen
        expected = metrics.dsc(postprocessing.apply(maps, *at[:2]), truth)
        # A mean summed in another order may move a few pixels at the threshold itself.
        np.testing.assert_allclose(effects.dsc[name], expected, rtol=0, atol=1e-3)
    assert effects.dsc["all seven"].to_list() != effects.dsc["none"].to_list()
    assert effects.seconds["all seven"] > effects.seconds["flip"] > effects.seconds["none"] > 0


def test_the_table_by_hand():
    # Four times the same three images: eight patients with a pneumothorax, four without.
    dsc = pd.DataFrame({name: [1.0, 0.2, 0.4] * 4 for name in tta_effects.SETS})
    dsc["crop"] = [0.7, 0.4, 0.6] * 4
    effects = Effects(dsc, dict.fromkeys(tta_effects.SETS, 0.5))
    table = tta_effects.table(effects, [False, True, True] * 4, [f"p{i}" for i in range(12)]).set_index("transforms")
    assert table["passes"].to_dict() == {"none": 1, **dict.fromkeys(TRANSFORMS, 2), "all seven": 8}
    crop = table.loc["crop"]
    assert crop["gain"] == pytest.approx(0.1 / 3, abs=1e-12) and crop["gain_low"] < 0 < crop["gain_high"]
    assert (crop["positive_dsc"], crop["positive_gain"]) == (pytest.approx(0.5), pytest.approx(0.2))
    none = table.loc["none"]
    assert none["gain"] == 0 and np.isnan(none["gain_low"]) and np.isnan(none["gain_high"]), "compared with itself"
    assert tta_effects.table(effects, [False] * 12)["positive_gain"].isna().all()


def test_parameters_of_notebooks_are_checked():
    assert parameters.checked_rule("mask") == "mask" and parameters.checked_switch("tta_table", False) is False
    with pytest.raises(SweepError, match="unknown rule='largest'; choose from component, mask, triplet"):
        parameters.checked_rule("largest")
    with pytest.raises(ParameterError, match="tta_table must be true or false, not 'true'"):
        parameters.checked_switch("tta_table", "true")
