"""Records: written, read, refused; and the tables made from them."""

import json

import numpy as np
import pandas as pd
import pytest

from pneumo_book import comparison, verdict
from pneumo_lib import challenge, experiments, published, records
from pneumo_lib.errors import RecordError
from pneumo_lib.evaluation import scores


def values(name: str, dsc: float, seed: int = 0) -> dict:
    """A record's values with made-up scores."""
    experiment = experiments.get(name, "demo")
    ways = {}
    for way, score in ((records.HEADLINE, dsc), (scores.AS_DECK, dsc + 0.01), (scores.BLANK, 0.75)):
        interval = (score, score - 0.05, score + 0.05)
        ways[way] = {
            "binarization_threshold": 0.5,
            "removal_threshold": np.int64(64),
            "scores": dict.fromkeys(["dsc", "iou", "stepwise_iou", "positive_dsc"], interval),
        }
    return {
        "format": records.FORMAT,
        "label": f"phantom data, demo profile, seed {seed}",
        "synthetic": True,
        "experiment": experiment.as_dict(),
        "data": "phantom",
        "split": {
            "rule": "patient",
            "images": {"train": 280, "validation": 60, "test": 4},
            "positive": {"train": 62, "validation": 15, "test": 1},
        },
        "seed": seed,
        "environment": records.environment(),
        "stages": [
            {
                "settings": {"stage": number, "experiment": experiment.as_dict()},
                "validation": {"val_stepwise_iou": dsc - 0.2, "val_iou": dsc - 0.1, "val_dsc": dsc, "val_loss": 1.0},
                "cost": {"device": "cpu"},
            }
            for number in range(1, len(experiment.stages) + 1)
        ],
        "transforms": ["flip"],
        "chosen": {"binarization_threshold": 0.5, "removal_threshold": 64, "score": dsc},
        "test": ways,
        "optimism": (0.01, 0.0, float("nan")),
    }


@pytest.fixture
def write(tmp_path):
    def write(name="exp4", dsc=0.8, seed=0):
        per_image = pd.DataFrame(
            {
                "image_id": list("abcd"),
                "patient_id": ["1", "1", "2", "3"],
                "truth_px": [0, 0, 0, 10],
                "predicted_px": [0, 0, 0, 10],
                "dsc": [1.0, 1.0, 1.0, dsc],
            }
        )
        history = pd.DataFrame({"stage": [1], "epoch": [1]})
        return records.write(tmp_path / name / f"seed{seed}", values(name, dsc, seed), per_image, history)

    return write


def test_what_is_written_is_read(write):
    record = write()
    assert record.name == "exp4" and record.label == "phantom data, demo profile, seed 0"
    assert record.values["optimism"] == [0.01, 0.0, None], "NaN is no JSON"
    assert record.per_image["dsc"].tolist() == [1.0, 1.0, 1.0, 0.8]


def test_a_record_of_another_registry_is_refused_by_field(write, tmp_path):
    path = write().folder / "record.json"
    old = json.loads(path.read_text())
    old["experiment"]["learning_rate"] = 0.5
    path.write_text(json.dumps(old))
    today = experiments.get("exp4", "demo").learning_rate
    with pytest.raises(RecordError, match=f"learning_rate=0.5, the registry says {today}"):
        records.find(tmp_path)


@pytest.mark.parametrize("damage", ["", "{", '{"format": 99}', "[]", '{"format": 1}', '{"format": 1, "experiment": 5}'])
def test_a_damaged_record_is_one_sentence(write, damage):
    path = write().folder / "record.json"
    path.write_text(damage)
    with pytest.raises(RecordError, match="run"):
        records.read(path.parent)


def test_no_records_is_an_empty_list_and_says_not_run(tmp_path):
    assert records.find(tmp_path) == []
    assert "Not run" in verdict.verdict([])
    table = comparison.answer_table([])
    assert (table["ours: mean DSC"] == comparison.NOT_RUN).all() and list(table.index) == list(experiments.EXPERIMENTS)


def test_the_stage_tables_hold_every_number_of_the_deck(write, tmp_path):
    write("exp4", 0.8), write("exp5", 0.9)
    found = records.find(tmp_path)
    for stage in (1, 2):
        table = comparison.stage_table(found, stage)
        rows = published.tables().query(f"table == 'stage{stage}_iou'")
        for row in rows.itertuples():
            assert float(table.loc[row.row, row.column]) == float(row.value)
        assert len(table) == rows["row"].nunique()
        assert table.loc["exp4", "ours, stepwise IoU"] == "0.600"
        assert table.loc["exp3", "ours, stepwise IoU"] == comparison.NOT_RUN


def test_several_seeds_show_their_range(write, tmp_path):
    write("exp2", 0.8, seed=0), write("exp2", 0.9, seed=1)
    table = comparison.stage_table(records.find(tmp_path), 1)
    assert table.loc["exp2", "ours, IoU"] == "0.750 (0.700–0.800)" and table.loc["exp2", "seeds"] == 2


def test_pipelines_are_compared_image_by_image_over_the_mean_of_the_seeds(write, tmp_path):
    write("exp1", 0.4), write("exp2", 0.6, seed=0), write("exp2", 0.8, seed=1)
    table = comparison.pairs_table(records.find(tmp_path))
    # Only image d differs, by 0.7 - 0.4: 0.3 / 4 over the four images. A draw without its patient gains nothing.
    assert list(table.index) == ["exp2\u00a0\u2212\u00a0exp1"]
    row = table.iloc[0]
    assert row["gain in mean DSC"].startswith("0.075 (0.000")
    assert row["images"] == 4 and row["tells them apart"] == "no"


def test_the_test_table_gives_several_seeds_one_row(write, tmp_path):
    write("exp2", 0.8, seed=0), write("exp2", 0.9, seed=1)
    table = comparison.test_table(records.find(tmp_path))
    assert table.loc["exp2 (2 seeds)", "mean DSC"] == "0.850 (0.800–0.900)"
    assert table.loc["exp2 (2 seeds)", "predict nothing"] == "0.750", "the same images"
    assert table.loc["paper", "mean DSC"] == "0.8356"


def test_the_blank_baseline_of_the_challenge():
    assert pytest.approx(0.7785, abs=5e-5) == challenge.EMPTY_MASK_BASELINE  # four places are given


def test_the_verdict_names_data_profile_and_what_was_not_run(write, tmp_path):
    write("exp4", 0.8), write("exp5", 0.9)
    text = verdict.verdict(records.find(tmp_path))
    assert "phantom data, demo profile" in text and "exp5" in text and "not run" in text


def test_a_record_of_an_experiment_that_is_gone_names_its_file(write):
    path = write().folder / "record.json"
    path.write_text(path.read_text().replace('"exp4"', '"exp7"'))
    with pytest.raises(RecordError, match=r"record.json is of no experiment of today's registry: exp='exp7'"):
        records.read(path.parent)


def test_an_interrupted_rewrite_leaves_no_record_rather_than_a_mixed_one(write, monkeypatch):
    folder = write().folder

    def interrupted(path, table):
        raise KeyboardInterrupt

    monkeypatch.setattr(records.atomic, "write_csv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(dsc=0.1)
    with pytest.raises(RecordError, match="is no whole record"):
        records.read(folder)


def test_the_best_pipeline_is_not_the_luckiest_seed(write, tmp_path):
    """exp4's seeds give 0.9 and 0.5 on image d, 0.7 in the mean: less than exp5's 0.8."""
    write("exp4", 0.9, seed=1), write("exp4", 0.5, seed=0), write("exp5", 0.8)
    found = records.find(tmp_path)
    assert records.best(found).name == "exp5"
    assert records.best([record for record in found if record.name == "exp4"]).values["seed"] == 0
    # A draw without image d's patient finds no difference.
    assert "it cannot be told from exp4." in verdict.verdict(found)
