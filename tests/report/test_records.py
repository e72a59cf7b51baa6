"""Records: written, read, refused, found by kind; and the tables made from them."""

import json

import numpy as np
import pytest
import records_made

from pneumo_book import comparison, verdict
from pneumo_lib import atomic, challenge, experiments, metrics, published, records
from pneumo_lib.errors import RecordError, WriteError
from pneumo_lib.evaluation import scores
from pneumo_lib.report import pipelines, tables
from pneumo_lib.report.style import interval_text


@pytest.fixture
def write(tmp_path):
    def write(name="exp4", seed=0, quality=0.7, **changed):
        return records_made.write(tmp_path / name / f"seed{seed}", name, seed, quality, **changed)

    return write


@pytest.fixture
def three_seeds(write, tmp_path):
    """exp1 and exp4 with three seeds each, exp4 clearly better."""
    for seed in range(3):
        write("exp1", seed, quality=0.2), write("exp4", seed, quality=0.9)
    return records.find(tmp_path)


def test_what_is_written_is_read(write):
    record = write(selection_gap=(0.01, 0.0, float("nan")))
    assert record.name == "exp4" and record.label == "phantom data, demo profile, seed 0" and record.kind == "own"
    assert record.values["selection_gap"] == [0.01, 0.0, None], "NaN is no JSON"
    assert len(record.validation) == 60 and set(record.validation) >= {"dsc", "iou", "stepwise_iou"}


def test_a_record_of_another_registry_is_refused_by_field(write, tmp_path):
    path = write().folder / "record.json"
    old = json.loads(path.read_text())
    old["experiment"]["learning_rate"] = 0.5
    path.write_text(json.dumps(old))
    today = experiments.get("exp4", "demo").learning_rate
    with pytest.raises(RecordError, match=f"learning_rate=0.5, the registry says {today}"):
        records.find(tmp_path)


@pytest.mark.parametrize("damage", ["", "{", '{"format": 1}', "[]", '{"format": 2}', '{"format": 2, "experiment": 5}'])
def test_a_damaged_record_is_one_sentence(write, damage):
    path = write().folder / "record.json"
    path.write_text(damage)
    with pytest.raises(RecordError, match="run"):
        records.read(path.parent)


def test_another_format_is_named_once(write):
    path = write().folder / "record.json"
    path.write_text('{"format": 1}')
    with pytest.raises(RecordError, match=r"^\S*record.json has another format than \d+; run the experiment again\.$"):
        records.read(path.parent)


def test_a_record_of_an_experiment_that_is_gone_names_its_file(write):
    path = write().folder / "record.json"
    path.write_text(path.read_text().replace('"exp4"', '"exp7"'))
    with pytest.raises(RecordError, match="record.json belongs to an experiment .* unknown exp='exp7'"):
        records.read(path.parent)


def test_an_interrupted_rewrite_leaves_no_record_rather_than_a_mixed_one(write, monkeypatch):
    folder = write().folder

    def interrupted(path, table):
        raise KeyboardInterrupt

    monkeypatch.setattr(records.atomic, "write_csv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(quality=0.1)
    with pytest.raises(RecordError, match=r"cannot read .*record.json"):
        records.read(folder)


def test_arms_and_external_test_sets_are_kinds_of_their_own(write, tmp_path):
    own = write("exp4")
    records_made.write(own.folder / "external" / "other", "exp4")
    arm = tmp_path / "studies" / "stages" / "large-only" / "seed0"
    records_made.write(arm, "exp4")
    values = json.loads((arm / "record.json").read_text())
    values["experiment"]["learning_rate"] = 0.5
    (arm / "record.json").write_text(json.dumps(values | {"study": "stages", "arm": "large-only"}))
    assert [one.kind for one in records.find(tmp_path)] == ["own"]
    assert [one.folder.name for one in records.find(tmp_path, "external")] == ["other"]
    assert [one.values["arm"] for one in records.find(tmp_path, "study")] == ["large-only"], "not in the registry"
    assert len(records.find(tmp_path, None)) == 3
    with pytest.raises(RecordError, match="unknown kind of record 'arm'"):
        records.find(tmp_path, "arm")


def test_publishing_takes_all_kinds_and_the_validation_scores(write, tmp_path):
    own = write("exp4")
    records_made.write(own.folder / "external" / "real", "exp4", synthetic=False, data="siim")
    written = records.publish(tmp_path, tmp_path.parent / "published")
    names = {path.relative_to(tmp_path.parent / "published" / "exp4" / "seed0").as_posix() for path in written}
    files = {"record.json", "history.csv", "per_image.csv", "validation.csv"}
    assert names == files | {"gallery.png"} | {f"external/real/{name}" for name in files}
    outside = records.find(tmp_path.parent / "published", "external")[0]
    assert outside.validation["image_id"].tolist() == list(range(1, 61)) and "sex" not in outside.validation
    assert outside.validation["patient_id"].nunique() == 30


def test_ids_of_a_run_on_patients_are_not_published_with_a_test_on_phantoms(write, tmp_path, tmp_path_factory):
    own = write("exp4", synthetic=False, data="siim")
    inside = records_made.write(own.folder / "external" / "phantom", "exp4", synthetic=True, data="siim")
    published_in = tmp_path_factory.mktemp("published")
    records.publish(tmp_path, published_in)
    (outside,) = records.find(published_in, "external")
    for name in ("validation", "per_image"):
        assert not set(getattr(outside, name)["image_id"]) & set(getattr(inside, name)["image_id"]), name


def test_an_interrupted_publication_leaves_no_record(write, tmp_path, tmp_path_factory, monkeypatch):
    write("exp4")
    published_in = tmp_path_factory.mktemp("published")

    def full(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(atomic.shutil, "copyfile", full)
    with pytest.raises(WriteError, match="No space left"):
        records.publish(tmp_path, published_in)
    assert not list(published_in.rglob("record.json"))


def test_no_records_is_an_empty_list_and_says_not_run(tmp_path):
    assert records.find(tmp_path) == []
    assert "Not run" in verdict.verdict([])
    table = comparison.answer_table([])
    assert (table["ours: mean DSC"] == comparison.NOT_RUN).all() and list(table.index) == list(experiments.EXPERIMENTS)


def test_the_stage_tables_hold_every_number_of_the_deck(write, tmp_path):
    record = write("exp4")
    found = records.find(tmp_path)
    for stage in (1, 2):
        table = comparison.stage_table(found, stage)
        rows = published.tables().query(f"table == 'stage{stage}_iou'")
        for row in rows.itertuples():
            assert float(table.loc[row.row, row.column]) == float(row.value)
        assert len(table) == rows["row"].nunique()
        mean = record.values["stages"][stage - 1]["validation"]["val_stepwise_iou"]
        assert table.loc["exp4", "ours: stepwise IoU"] == f"{mean:.3f}" and table.loc["exp4", "SD over seeds"] == "–"
    assert table.loc["exp4", "pixels"] == "128", "what was run, not the paper's 512"
    assert table.loc["exp4", "interval over"] == "30 patients, one seed"


def test_a_first_stage_of_another_pipeline_is_named_and_not_shown_again(write, tmp_path):
    write("exp2"), write("exp3", seed=0), write("exp3", seed=1)
    row = comparison.stage_table(records.find(tmp_path), 1).loc["exp3"]
    assert row["ours: stepwise IoU"] == "exp2's first stage"
    assert set(row[2:]) == {"exp2's first stage", "–"} and row["seeds"] == "–"


def test_brackets_over_several_seeds_are_the_crossed_interval(three_seeds):
    seeds = records.by_pipeline(three_seeds)["exp4"]
    values = np.array([record.per_image["dsc"] for record in seeds])
    expected = metrics.mean_interval(values, seeds[0].per_image["patient_id"])
    found = pipelines.interval(seeds)
    assert found == expected and found.basis == "over 30 patients and 3 seeds"
    assert found.seed_sd == pytest.approx(values.mean(axis=1).std(ddof=1))
    row = comparison.test_table(three_seeds).loc["exp4"]
    assert row["mean DSC"] == interval_text(expected) and row["SD over seeds"] == f"{expected.seed_sd:.3f}"
    assert row["interval over"] == "30 patients and 3 seeds"


def test_the_test_table_has_the_decks_two_rows_and_the_empty_masks(three_seeds):
    table = comparison.test_table(three_seeds)
    assert table.loc["deck", "deck's IoU row"] == "0.7807" and table.loc["paper", "deck's DSC row"] == "0.8356"
    assert table.loc["paper", "deck's IoU row"].endswith("†") and table.loc["paper", "mean DSC"] == "–"
    seeds = records.by_pipeline(three_seeds)["exp1"]
    for column, metric, protocol in (
        ("deck's IoU row", "iou", "test_deck_grid"),
        ("deck's DSC row", "dsc", "no_removal"),
    ):
        means = [record.values["test"][protocol]["scores"][metric]["value"] for record in seeds]
        assert table.loc["exp1", column].startswith(f"{np.mean(means):.3f} (")
    assert table.loc["exp1", "empty masks"] == f"{46 / 60:.3f}" and table.loc["exp4", "pixels"] == "64 → 128"
    assert float(table.loc["exp1", "selection gap"].split()[0]) >= 0
    assert not [name for name in table if "difference" in name or "optimism" in name]


def test_one_seed_says_so_and_silver_labels_are_over_images(write, tmp_path):
    write("exp4")
    assert comparison.test_table(records.find(tmp_path)).loc["exp4", "interval over"] == "30 patients, one seed"
    silver = records_made.write(tmp_path / "silver" / "seed0", "exp4", data="siim_silver", synthetic=False)
    assert comparison.over(pipelines.interval([silver])) == "60 images, one seed"
    assert pipelines.counts([silver]) == "60 test images (14 positive), patients unknown"


def test_pairs_are_crossed_over_seeds_and_patients_and_adjusted_by_holm(three_seeds):
    seeds = records.by_pipeline(three_seeds)
    assert pipelines.neighbours(seeds) == [("exp4", "exp1")]
    values = [np.array([record.per_image["dsc"] for record in seeds[name]]) for name in ("exp4", "exp1")]
    expected = metrics.mean_difference(*values, three_seeds[0].per_image["patient_id"])
    found = pipelines.compare(seeds, [("exp4", "exp1")])["exp4", "exp1"]
    assert found.difference == expected and found.p == expected.p
    row = comparison.pairs_table(three_seeds).iloc[0]
    assert row["gain in mean DSC"] == interval_text(expected.interval)
    assert row["distinguishable"] == ("yes" if expected.interval.excludes(0) else "no") and row["images"] == "60"


def test_a_family_of_comparisons_makes_each_harder(write, tmp_path):
    for seed in range(3):
        for name, quality in (("exp1", 0.2), ("exp2", 0.9), ("exp4", 0.9)):
            write(name, seed, quality)
    seeds = records.by_pipeline(records.find(tmp_path))
    alone = pipelines.compare(seeds, [("exp2", "exp1")])["exp2", "exp1"]
    family = pipelines.compare(seeds, pipelines.neighbours(seeds))["exp2", "exp1"]
    assert family.difference == alone.difference and family.p == pytest.approx(2 * alone.p)


def test_seeds_are_paired_only_where_a_pipeline_starts_from_the_other(write, tmp_path):
    for seed in range(3):
        write("exp2", seed), write("exp3", seed), write("exp4", seed)
    seeds = records.by_pipeline(records.find(tmp_path))
    values = [np.array([record.per_image["dsc"] for record in seeds[name]]) for name in ("exp3", "exp2")]
    patients = seeds["exp2"][0].per_image["patient_id"]
    assert pipelines.difference(seeds["exp3"], seeds["exp2"]) == metrics.mean_difference(
        *values, patients, seeds_paired=True
    )


def test_seeds_that_were_scored_on_other_images_are_refused(write):
    seeds = [write("exp4", 0), write("exp4", 1)]
    other = seeds[1].per_image.assign(truth_px=seeds[1].per_image["truth_px"] + 1)
    seeds[1] = records.Record(seeds[1].folder, seeds[1].values, other, seeds[1].history, seeds[1].validation)
    with pytest.raises(RecordError, match="other images"):
        pipelines.interval(seeds)


def test_captions_have_the_numbers_of_images_patients_and_seeds(three_seeds):
    text = comparison.described(three_seeds)
    assert text == "phantom data, demo profile; seeds 0, 1, 2; 60 test images (14 positive) of 30 patients (7 positive)"
    assert pipelines.counts(three_seeds, "validation").startswith("60 validation images (13 positive)")


def test_the_empty_mask_baseline_of_the_challenge():
    assert pytest.approx(0.7785, abs=5e-5) == challenge.EMPTY_MASK_BASELINE  # four places are given


def test_the_best_pipeline_is_chosen_on_validation(write, tmp_path):
    write("exp4", quality=0.4), write("exp5", quality=0.9)
    found = records.find(tmp_path)
    assert records.best(found).name == "exp5"
    worst = [
        records.Record(one.folder, one.values, one.per_image, one.history, one.validation.assign(dsc=1.0))
        if one.name == "exp4"
        else one
        for one in found
    ]
    assert records.best(worst).name == "exp4", "its test score has no say"


def test_the_best_pipeline_is_not_the_luckiest_seed(write, tmp_path):
    write("exp4", 1, quality=0.9), write("exp4", 0, quality=0.1), write("exp5", quality=0.8)
    found = records.find(tmp_path)
    assert records.best(found).name == "exp5"
    assert records.best(records.by_pipeline(found)["exp4"]).values["seed"] == 0


def test_the_verdict_names_data_seeds_and_what_is_not_distinguishable(write, tmp_path):
    write("exp4"), write("exp5")
    text = verdict.verdict(records.find(tmp_path))
    top = records.best(records.find(tmp_path)).name
    other = {"exp4": "exp5", "exp5": "exp4"}[top]
    assert "phantom data, demo profile; seed 0; 60 test images (14 positive) of 30 patients (7 positive)" in text
    assert f"by validation score is {top}" in text and f"not distinguishable from {other}." in text
    assert "95 % intervals over 30 patients, one seed" in text and "synthetic" in text


def test_the_protocols_of_a_record_are_one_row_each(write):
    table = tables.score_table(write().values["test"])
    assert list(table.index) == list(scores.PROTOCOLS.values())
    assert table.loc["empty masks", "B-TH"] == "–" and table.loc["the deck's best pair", "R-TH"] == "512"
