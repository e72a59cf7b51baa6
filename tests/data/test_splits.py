import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from pneumo_lib.data import splits
from pneumo_lib.errors import SplitError


def make_index(areas, patients=None, labelled=None) -> pd.DataFrame:
    n = len(areas)
    labelled = np.ones(n, bool) if labelled is None else np.array(labelled)
    index = pd.DataFrame({"image_id": [f"id{number:05d}" for number in range(n)], "labelled": labelled})
    index["mask_area_px"] = pd.array(
        [area if on else None for area, on in zip(areas, labelled, strict=True)], dtype="Int64"
    )
    index["positive"] = index.mask_area_px > 0
    index["patient_id"] = pd.array(patients if patients is not None else [None] * n, dtype="string")
    return index


def like_the_challenge(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    """Areas and images per patient as in the challenge: 22 % positive, some patients with many images."""
    rng = np.random.default_rng(seed)
    areas = np.where(rng.random(n) < 0.2215, np.exp(rng.normal(8.8, 1, n)).clip(80, 90_000), 0).astype(int)
    sizes = rng.zipf(2.2, n).clip(max=61)
    return make_index(areas, np.repeat(np.arange(n), sizes)[:n].astype(str))


small_sets = st.lists(st.tuples(st.integers(0, 8), st.sampled_from([0, 0, 100, 5000])), min_size=3, max_size=60).map(
    lambda rows: make_index([area for _, area in rows], [str(patient) for patient, _ in rows])
)


@given(small_sets, st.integers(0, 5))
def test_no_patient_is_in_two_parts_and_every_image_in_one(index, seed):
    positive_patients = index.patient_id[index.positive].nunique()
    if index.patient_id.nunique() < 3:
        with pytest.raises(SplitError, match="empty"):
            splits.split(index, "patient", seed)
        return
    part = splits.split(index, "patient", seed)
    assert part.isin(splits.SUBSETS).all()
    assert set(part) == set(splits.SUBSETS)
    assert part.groupby(index.patient_id).nunique().max() == 1
    if positive_patients >= 3:
        assert index.positive.groupby(part).any().all()


@settings(max_examples=30)
@given(st.sampled_from(splits.RULES), st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rule, seed, random):
    index = like_the_challenge(80)
    rows = list(range(80))
    random.shuffle(rows)
    straight, shuffled = splits.split(index, rule, seed), splits.split(index.iloc[rows], rule, seed)
    assert shuffled.index.tolist() == rows
    assert straight.equals(shuffled.sort_index())


@pytest.mark.parametrize("rule", splits.RULES)
def test_seeds(rule):
    index = like_the_challenge(300)
    first = splits.split(index, rule, 1)
    assert first.equals(splits.split(index, rule, 1))
    # The follow-up code's hold-out has a seed of its own, and nothing else is drawn there.
    assert first.equals(splits.split(index, rule, 2)) == (rule == "follow-up-90-10")
    assert first.attrs == {"rule": rule, "seed": 1}
    assert first.name == "split"


def test_deck_has_the_decks_proportions():
    sizes = splits.split(like_the_challenge(11_895), "deck").value_counts()
    assert sizes["test"] == 1830
    assert sizes["train"] + sizes["validation"] == 10_065
    assert sizes["validation"] == 1006


def test_follow_up_holds_out_a_tenth_whatever_the_seed():
    index = like_the_challenge(12_047)
    first, second = splits.split(index, "follow-up", 0), splits.split(index, "follow-up", 1)
    assert (first == "validation").sum() == (first == "test").sum() == 1205
    assert ((first == "validation") == (second == "validation")).all()
    assert not ((first == "test") == (second == "test")).all()


def test_patient_meets_its_shares_and_strata():
    index = like_the_challenge(6000)
    part = splits.split(index, "patient")
    shares = part.value_counts(normalize=True)
    assert shares[list(splits.SUBSETS)].tolist() == pytest.approx(splits.PATIENT_SHARES, abs=0.005)
    positive = index.positive.astype(float).groupby(part).mean()
    assert positive.tolist() == pytest.approx([positive.mean()] * 3, abs=0.01)
    medians = index[index.positive].mask_area_px.groupby(part).median()
    assert medians.max() / medians.min() < 1.1


def test_ten_images_five_positive_as_in_the_challenges_sample():
    index = make_index([0, 0, 0, 0, 0, 29079, 2071, 2486, 9418, 5232], [str(number) for number in range(10)])
    for seed in range(20):
        part = splits.split(index, "patient", seed)
        assert (part == "train").sum() >= 5
        assert index.positive.astype(int).groupby(part).sum().min() >= 1


def test_one_patient_with_half_of_all_images():
    index = make_index([100, 0] * 30, ["big"] * 30 + [str(number) for number in range(30)])
    part = splits.split(index, "patient")
    assert part[:30].nunique() == 1
    assert part[0] == "train"


@pytest.mark.parametrize("rule", splits.RULES)
def test_unlabelled_images_never_enter(rule):
    index = like_the_challenge(200)
    index.loc[::3, ["labelled", "positive", "mask_area_px"]] = False, pd.NA, pd.NA
    part = splits.split(index, rule)
    assert part[~index.labelled].isna().all()
    assert part[index.labelled].notna().all()


def test_images_of_unknown_patients_stand_alone():
    index = make_index([100, 0] * 20, ["a"] * 10 + [None] * 30)
    part = splits.split(index, "patient")
    assert part[:10].nunique() == 1
    assert part[10:].nunique() == 3


@pytest.mark.parametrize("rule", splits.RULES)
def test_too_few_images(rule):
    n = 1 if rule in splits.WITHOUT_TEST else 2
    with pytest.raises(SplitError, match="empty"):
        splits.split(make_index([100, 0][:n], ["a", "b"][:n]), rule)


def test_unknown_rule_no_patients_and_repeated_ids():
    index = make_index([100, 0, 0, 100])
    with pytest.raises(SplitError, match="deck, deck-2k, follow-up, follow-up-90-10, trial, patient"):
        splits.split(index, "random")
    with pytest.raises(SplitError, match="give a map"):
        splits.split(index, "patient")
    with pytest.raises(SplitError, match="twice"):
        splits.split(pd.concat([index, index]), "deck")


def test_default_rule():
    assert splits.default_rule(make_index([1, 0, 0])) == "deck"
    assert splits.default_rule(make_index([1, 0, 0], ["a", None, None])) == "patient"
    assert splits.default_rule(make_index([1, 0, 0], ["a", None, None], [False, True, True])) == "deck"


# --- report ------------------------------------------------------------------------------------------------------


def by_hand(patients) -> tuple[pd.DataFrame, pd.Series]:
    index = make_index([9, 0, 9, 0, 0, 9, 0], patients, [True] * 6 + [False])
    part = pd.Series(
        ["train", "train", "validation", "validation", "test", "test", pd.NA], dtype="string", name="split"
    )
    part.attrs["rule"] = "deck"
    return index, part


def test_report_counts_images_that_share_a_patient_with_training():
    report = splits.report(*by_hand(["a", "b", "a", "c", "b", "b", "a"])).set_index("split")
    assert report.images.tolist() == [2, 2, 2]
    assert report.positive.tolist() == [1, 1, 1]
    assert report.positive_share.tolist() == [0.5] * 3
    assert report.patients.tolist() == [2, 2, 1]
    assert report.sharing_a_patient_with_train.tolist() == ["-", "1", "2"]
    assert report.rule.tolist() == ["deck"] * 3


def test_report_says_what_is_unknown():
    assert splits.report(*by_hand(None)).sharing_a_patient_with_train.tolist() == ["-", "unknown", "unknown"]
    partly = splits.report(*by_hand(["a", "b", "a", None, "c", "c", None]))
    assert partly.sharing_a_patient_with_train.tolist() == ["-", "at least 1", "0"]


def test_random_folds_share_patients_and_grouped_ones_do_not():
    index = like_the_challenge(3000)
    shared = {rule: splits.report(index, splits.split(index, rule)) for rule in splits.RULES}
    assert shared["patient"].sharing_a_patient_with_train.tolist() == ["-", "0", "0"]
    assert int(shared["deck"].sharing_a_patient_with_train[2]) > 100


# --- files -------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    index = like_the_challenge(50)
    index.loc[7, ["labelled", "positive", "mask_area_px"]] = False, pd.NA, pd.NA
    part = splits.split(index, "patient", 3)
    splits.save(tmp_path / "split.csv", index, part)
    return tmp_path / "split.csv", index, part


def test_saved_and_loaded(saved):
    path, index, part = saved
    loaded = splits.load(path, index)
    pd.testing.assert_series_equal(loaded, part)
    assert loaded.attrs == {"rule": "patient", "seed": 3}
    turned = index[::-1]
    assert splits.load(path, turned).equals(part[::-1])


def test_nothing_else_is_left_behind(saved):
    path = saved[0]
    assert [one.name for one in path.parent.iterdir()] == ["split.csv"]


def test_a_split_of_other_images_is_refused(saved):
    path, index, _ = saved
    with pytest.raises(SplitError, match="belongs to other images: 0 of the data set are not in it, 1 of its own"):
        splits.load(path, index[1:])
    more = pd.concat([index, make_index([0]).assign(image_id="new")])
    with pytest.raises(SplitError, match="1 of the data set are not in it"):
        splits.load(path, more)
    with pytest.raises(SplitError, match="other images were labelled"):
        splits.load(path, index.assign(labelled=True))


@pytest.mark.parametrize(
    "text", ["", "image_id\n", "a,b\n1,2\n", "image_id,split,rule,seed\nid1,train,deck,0\nid1,test,deck,0\n"]
)
def test_what_is_no_saved_split(saved, text):
    path, index, _ = saved
    path.write_text(text)
    with pytest.raises(SplitError, match="cannot be read as a saved split"):
        splits.load(path, index)


def test_unknown_parts_and_missing_files(saved):
    path, index, _ = saved
    path.write_text(path.read_text().replace("validation", "holdout"))
    with pytest.raises(SplitError, match="'holdout'"):
        splits.load(path, index)
    with pytest.raises(SplitError, match="cannot be read"):
        splits.load(path.with_name("none.csv"), index)


def test_a_split_by_patient_under_another_map_of_patients_is_refused(saved):
    path, index, part = saved
    torn = index.copy()
    torn.loc[[(part == "train").idxmax(), (part == "test").idxmax()], "patient_id"] = "both"
    with pytest.raises(
        SplitError, match=r"patient both has images in two subsets \(patients torn apart: 1\); .* delete"
    ):
        splits.load(path, torn)
    torn.loc[torn.patient_id == "both", "patient_id"] = pd.NA
    assert splits.load(path, torn).equals(part), "an unknown patient is nobody's"
    part.attrs["rule"] = "deck"
    splits.save(path, index, part)
    splits.load(path, index.assign(patient_id="both"))


# --- the sources' own splits and exact counts ----------------------------------------------------------------------


def test_follow_up_is_the_follow_up_codes_own_hold_out():
    index = like_the_challenge(1234)
    held_out = train_test_split(sorted(index.image_id), test_size=0.1, random_state=1994)[1]
    for rule in ("follow-up", "follow-up-90-10"):
        assert set(index.image_id[splits.split(index, rule) == "validation"]) == set(held_out)
    assert set(splits.split(index, "follow-up-90-10")) == {"train", "validation"}


def test_deck_2k_has_the_decks_1982_test_images():
    assert (splits.split(make_index([0, 100] * 6023 + [0]), "deck-2k") == "test").sum() == 1982


def test_trial_is_stratified():
    index = like_the_challenge(3000)
    report = splits.report(index, splits.split(index, "trial"))
    assert report.images.tolist() == pytest.approx([2400, 300, 300], abs=5)
    assert report.positive_share.to_numpy() == pytest.approx(index.positive.mean(), abs=0.01)


def test_exact_counts_keep_patients_apart():
    index = like_the_challenge(1600)
    part = splits.split(index, "patient", counts=(400, 200, 1000))
    report = splits.report(index, part)
    assert report.images.tolist() == [400, 200, 1000]
    assert part.groupby(index.patient_id).nunique().max() == 1
    wanted = np.array([400, 200, 1000]) * index.positive.mean()
    assert np.abs(report.positive - wanted).max() <= 2
    with pytest.raises(SplitError, match="labelled"):
        splits.split(index, "patient", counts=(1, 1, 1))
    with pytest.raises(SplitError, match="exactly"):
        splits.split(make_index([100, 0] * 3, list("aabbcc")), "patient", counts=(3, 2, 1))
