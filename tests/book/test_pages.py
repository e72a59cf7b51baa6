"""What the book's pages are made of, without building the book."""

import base64
import dataclasses
import importlib.util
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import records_made
import torch
from PIL import Image
from scipy import stats

from pneumo_book import (
    blocks,
    comparison,
    experiment_pages,
    extension,
    markdown,
    notebook_pages,
    readme,
    reference,
    silver,
    stacking,
    surface,
    verdict,
)
from pneumo_lib import atomic, experiments, records
from pneumo_lib.errors import RecordError
from pneumo_lib.evaluation import explorer_data
from pneumo_lib.model.losses import BCEDiceLoss, soft_dice_loss
from pneumo_lib.report import pipelines, xray_figures
from pneumo_lib.report.style import interval_text, subplots

REPOSITORY = Path(__file__).resolve().parents[2]


def _load(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sample = _load("sample")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home of its own without runs."""
    monkeypatch.setenv("PNEUMO_HOME", str(tmp_path))
    monkeypatch.delenv("PNEUMO_RECORDS", raising=False)
    # Else the repository's own results are shown.
    (tmp_path / "results").mkdir()
    (tmp_path / "notebooks").symlink_to(REPOSITORY / "notebooks")
    return tmp_path


@pytest.fixture
def runs(home, monkeypatch) -> Path:
    """Five invented runs of one's own."""
    sample.write_runs(home / "runs")
    monkeypatch.setenv("PNEUMO_RECORDS", str(home / "runs"))
    return home / "runs"


def test_table_keeps_cells_apart():
    frame = pd.DataFrame({"a|b": ["0.5 (-0.1–0.9)"]}, index=["first\nrow"])
    text = markdown.table(frame, "What.", "name")
    assert text.splitlines() == [
        ":::{table} What.",
        "| name | a\\|b |",
        "| --- | --- |",
        "| first row | 0.5 (\u22120.1\u2060–\u20600.9) |",
        ":::",
    ]


def test_intervals_stay_whole_and_minus_is_no_hyphen():
    assert markdown.typeset("0.5 (0.1–0.9)") == "0.5 (0.1\u2060–\u20600.9)"
    assert markdown.typeset("-0.5 (-0.9–-0.1)") == "\u22120.5 (\u22120.9\u00a0to\u00a0\u22120.1)"
    assert markdown.typeset("exp3-own, -p seed 1, 40-59") == "exp3-own, -p seed 1, 40-59"


def test_long_cells_keep_a_readable_width():
    sentence = "what a setting means, in so many words"
    text = markdown.table(pd.DataFrame({"meaning": [sentence, "short"]}, index=["a", "b"]), "A table.")
    assert f"[{sentence}]{{.long}}" in text and "| short |" in text


def test_without_runs_every_place_says_so(home):
    sets = comparison.shown_sets()
    assert sets == {}
    made = blocks.write_all(sets, {})
    assert "Not run" in made["verdict"] and "not run" in made["answer"]
    assert "Not run" in made["silver"] and "make runs" in made["silver"]
    for name in ("optimism", "gallery", "thresholds"):
        assert "make book" in made[name]
    pages = experiment_pages.pages(sets, REPOSITORY / "book" / "experiments")
    assert all("**Not run.**" in text for text in pages.values())


def test_a_training_that_fell_back_to_empty_masks_is_named(tmp_path):
    good = records_made.write(tmp_path / "exp4" / "seed0", "exp4")
    per_image = good.per_image.assign(predicted_px=0, intersection_px=0)
    bad = dataclasses.replace(good, values=good.values | {"seed": 3}, per_image=per_image)
    assert verdict.fallen_back([good]) == ""
    assert "exp4 (seed 3) fell back to predicting empty masks" in verdict.fallen_back([good, bad])


def test_published_numbers_come_from_the_table():
    found = blocks.substitutions()
    assert found["blank"] == "0.7785"
    assert found["stage1_highest"] == "0.7638"
    assert found["stage2_above_blank"] == "0.0065"
    assert (found["repeat_paper"], found["repeat_deck"]) == ("0.024", "0.020")
    assert float(found["stage1_highest"]) < float(found["blank"])
    # 0.7349 - 0.7105 and 0.7223 - 0.7023, by the square root of 2; 0.7850 - 0.7842 and 0.7846 - 0.7701.
    assert (found["sd_paper"], found["sd_deck"]) == ("0.017", "0.014")
    assert (found["stage2_range_paper"], found["stage2_range_deck"]) == ("0.0008", "0.0145")


def test_numbers_of_the_challenges_masks_come_from_their_tables():
    found = blocks.substitutions()
    assert (found["ceiling_dsc"], found["ceiling_positive"]) == ("0.8500", "0.3230")
    # 1.96 times the root of 0.2215 x 0.7785 / n, for n = 1,205 and 1,830.
    assert (found["blank_error_hold_out"], found["blank_error_test"]) == ("0.023", "0.019")
    table = reference.ceiling()
    assert "| 1024 | 26 % | 0.9395 | 0.7268 |" in table and "| **3072** (the deck's choice) | 67 % | 0.8500 |" in table
    assert "| empty prediction | 100 % | 0.7785 | 0 |" in table


def test_seeds_needed_follow_from_the_shown_sd():
    rows = [line for line in reference.seeds_needed().splitlines() if line.startswith("| 0.")]
    needed = [int(re.search(r"\| (\d+) \|$", row)[1]) for row in rows]
    # The t-test's power with n runs of each, from SciPy; the SD is shown as 0.017.
    for gain, n in zip((0.05, 0.02, 0.01), needed, strict=True):
        reached = [
            stats.nct.sf(stats.t.ppf(0.975, 2 * (k - 1)), 2 * (k - 1), gain / (0.017 * (2 / k) ** 0.5))
            for k in (n, n - 1)
        ]
        assert reached[0] >= 0.8 > reached[1], (gain, n)


def test_every_substitution_of_a_page_exists():
    known = set(blocks.substitutions())
    pages = [*(REPOSITORY / "book").rglob("*.md"), REPOSITORY / "book" / "experiments" / "notes.yml"]
    for path in pages:
        if not {"_build", "generated", "runs"} & set(path.parts) and path.name != "template.md":
            assert set(re.findall(r"{{ (\w+) }}", path.read_text())) <= known, path


def test_experiment_page_holds_the_records_numbers(runs):
    text = experiment_pages.pages(comparison.shown_sets(), REPOSITORY / "book" / "experiments")["exp4"]
    record = records.read(runs / "exp4" / "seed0")
    stage1 = record.values["stages"][0]["validation"]["val_stepwise_iou"]
    assert f"[IoU, stage 1, validation (ours: stepwise)]{{.long}} | 0.7422 | 0.7366 | {stage1:.3f} | 1 | 64 |" in text
    assert "What the profile demo changes of the method" in text and "image size 64 → 128 (256 → 512)" in text
    value = markdown.typeset(interval_text(pipelines.interval([record], "positive_dsc")))
    assert f"| positive-only DSC, test | – | – | {value} | 1 | 64 → 128 |" in text
    assert "512 px, batch 14, 10 epochs" in text and "512 px, batch 14, 29 epochs" in text
    assert "phantom data, demo profile" in text


def test_committed_and_own_records_are_both_shown(runs, home):
    sample.write_runs(home / "results", seeds=(0, 1), notebooks=False)
    sample.change(home / "results" / "exp1" / "seed0")
    sets = comparison.shown_sets()
    assert list(sets) == ["this run", "committed run"]
    stage1 = blocks.write_all(sets, {})["stage1"]
    assert "Ours, this run: phantom data, demo profile; seed 0; 60 validation images (13 positive)" in stage1
    assert "Ours, committed run: phantom data, demo profile; seeds 0, 1; 60 validation images" in stage1


def test_committed_records_join_those_of_ones_own_that_came_to_the_same(runs, home):
    sample.write_runs(home / "results", seeds=(0, 1), notebooks=False)
    sets = comparison.shown_sets()
    assert list(sets) == ["this run"]
    assert [(one.name, one.values["seed"]) for one in sets["this run"]][:3] == [("exp1", 0), ("exp1", 1), ("exp2", 0)]
    assert sets["this run"][0].folder == runs / "exp1" / "seed0", "the one whose predictions are there"


def test_repeats_show_the_distance_between_seeds(runs, home):
    assert "make runs SEED=1" in blocks.write_all(comparison.shown_sets(), {})["repeats"]
    sample.write_runs(home / "results", seeds=(0, 1), notebooks=False)
    found = comparison.shown_sets()["this run"]
    shown = comparison.repeats(found).loc["exp2: mean DSC, test"]
    values = [one.per_image["dsc"].mean() for one in found if one.name == "exp2"]
    assert comparison.label(found) == "phantom data, demo profile; seeds 0, 1"
    once = [one for one in found if one.values["seed"] == 0 or one.name == "exp2"]
    assert comparison.label(once) == "phantom data, demo profile; seed 0; exp2 also 1"
    assert shown["seed 0"] == f"{values[0]:.3f}" and shown["SD"] == f"{np.std(values, ddof=1):.3f}"
    assert shown["range"] == f"{abs(values[0] - values[1]):.3f}"


def test_silver_labels_stand_apart_and_say_so(runs, home):
    silver_record = sample.write_silver(home / "results" / "siim_silver-demo")
    sets, silver_sets = comparison.shown_sets(), comparison.shown_sets(silver=True)
    assert [record.label for found in silver_sets.values() for record in found] == [
        "silver labels: siim_silver, demo profile, seed 0"
    ]
    made = blocks.write_all(sets, silver_sets)
    assert not [name for name, text in made.items() if "siim_silver" in text and name not in ("silver", "status")]
    value = markdown.typeset(interval_text(pipelines.interval([silver_record])))
    assert f"| mean DSC | {value} |" in made["silver"] and "60 images, one seed" in made["silver"]
    assert "not how accurate" in made["silver"]
    drawn = dict(silver.draw(silver_sets))
    # The second drawings, for narrow screens, are put in when the page is read.
    shown = {name for name in drawn if f"/{name}" in made["silver"]}
    assert len(shown) == 2 and drawn.keys() - shown <= {stacking.stacked(name) for name in shown}
    assert "silver labels" in drawn["silver-outcomes.svg"].legends[0].get_title().get_text()


def test_readme_gives_silver_labels_a_sentence_of_their_own(home):
    sample.write_runs(home / "results" / "phantom-demo", notebooks=False)
    before = readme.generated()
    sample.write_silver(home / "results" / "siim_silver-demo")
    after = readme.generated()
    assert after.startswith(before) and "silver labels" in after.removeprefix(before)


def test_record_of_another_registry_is_refused_by_field(runs):
    path = runs / "exp2" / "seed0" / "record.json"
    values = json.loads(path.read_text())
    values["experiment"]["learning_rate"] = 0.5
    path.write_text(json.dumps(values))
    with pytest.raises(RecordError, match="learning_rate=0.5"):
        comparison.shown_sets()


def test_notebook_page_has_its_own_title_and_no_progress(tmp_path):
    sample.write_notebook(tmp_path / "in.ipynb", "train")
    notebook_pages.make(tmp_path / "in.ipynb", tmp_path / "out.ipynb", "exp1: train")
    made = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert made.cells[0].source.startswith("# exp1: train\n")
    assert sample.PROGRESS not in (tmp_path / "out.ipynb").read_text()


def test_the_registry_can_be_downloaded_as_a_table():
    table = pd.read_csv(io.StringIO(reference.registry_csv()), index_col="setting")
    assert list(table.columns) == ["meaning", "source", *experiments.EXPERIMENTS]
    assert table.loc["plateau_patience", "exp4"] == "5" and table.loc["averaged_epochs", "source"].startswith("deck")


def test_second_stages_cost_four_pixels_for_one():
    rows = [line.split(" | ")[-1].rstrip(" |") for line in reference.second_stages().splitlines() if "| exp" in line]
    assert rows == ["40", "116", "280"]


def test_times_follow_from_the_speed_of_the_shown_run(runs):
    found = next(iter(comparison.shown_sets().values()))
    # The invented runs train 20 images per second at both sizes, 64 and 128: 10,065 / 20 s = 0.14 h per epoch, and by
    # their pixels 0.14 * 4 at 256 and 0.14 * 16 at 512.
    assert "0.56 hours at 256 pixels and 2.2 hours at 512 pixels on 2 CPU cores" in reference.epoch_hours(found)
    table = reference.times(found)
    assert "20 images per second at 64 pixels and 20 images per second at 128 pixels" in table
    assert "| `paper` | 60 epochs at 256 | 29 epochs at 512 | 34 + 65 |" in table
    assert "| `half` | 20 epochs at 128 | 10 epochs at 256 | 2.8 + 5.6 |" in table


def test_times_without_a_run_say_so():
    assert reference.times([]) == reference.epoch_hours([]) == reference.NOT_TIMED


def test_only_the_variant_of_mathjax_that_pages_load_is_published(tmp_path):
    folder = tmp_path / "_static" / "mathjax"
    folder.mkdir(parents=True)
    for name in ("tex-mml-chtml.js", "tex-svg.js", "mml-svg.js", "node-main.js", "core.js"):
        (folder / name).touch()
    app = SimpleNamespace(outdir=tmp_path, config=SimpleNamespace(mathjax_path="mathjax/tex-mml-chtml.js"))
    extension._without_unused_mathjax(app, None)
    assert {path.name for path in folder.iterdir()} == {"tex-mml-chtml.js", "node-main.js", "core.js"}


def test_committed_notebooks_are_small_and_shown_where_there_are_no_others(runs, home, monkeypatch):
    kept = notebook_pages.keep(runs, home / "results" / "phantom-demo")
    assert len(kept) == 1 + 3 * len(experiments.EXPERIMENTS)
    assert kept[0].relative_to(home / "results" / "phantom-demo").as_posix() == "data.ipynb"
    monkeypatch.delenv("PNEUMO_RECORDS")
    extension._notebooks(home / "pages")
    made = {path.relative_to(home / "pages").as_posix() for path in (home / "pages").rglob("*.*")}
    assert made == {
        "data.ipynb",
        *(f"{name}/{step}.ipynb" for name in experiments.EXPERIMENTS for step in extension.STEPS),
    }


def test_notebooks_of_patients_do_not_stay_in_a_book_of_phantoms(runs, home, monkeypatch):
    notebook_pages.keep(runs, home / "results" / "phantom-demo")
    path = home / "runs" / "siim-demo" / "exp1" / "seed0" / "train.ipynb"
    path.parent.mkdir(parents=True)
    of_patients = nbformat.read(runs / "exp1" / "seed0" / "train.ipynb", as_version=4)
    of_patients.cells.append(nbformat.v4.new_markdown_cell("Of patients."))
    nbformat.write(of_patients, path)
    page = home / "pages" / "exp1" / "train.ipynb"
    texts = {}
    for name in ("siim-demo", "phantom-demo"):
        monkeypatch.setenv("PNEUMO_RECORDS", str(home / "runs" / name))
        extension._notebooks(home / "pages")
        texts[name] = page.read_text()
    before = page.stat().st_mtime_ns
    extension._notebooks(home / "pages")
    assert "Of patients." in texts["siim-demo"] and "Of patients." not in texts["phantom-demo"]
    assert page.stat().st_mtime_ns == before, "the same page is not written again"


def test_kept_notebooks_name_no_folder_of_this_machine(runs, home):
    path = runs / "exp1" / "seed0" / "train.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].outputs.append(
        nbformat.v4.new_output("stream", name="stdout", text=f"folder {home.resolve()}/runs/exp1")
    )
    nbformat.write(notebook, path)
    kept = [text.read_text() for text in notebook_pages.keep(runs, home / "results")]
    assert any("folder runs/exp1" in text for text in kept) and not any(str(home.resolve()) in text for text in kept)


def test_notebooks_with_patients_are_not_kept(runs, home):
    path = runs / "exp1" / "seed0" / "record.json"
    path.write_text(path.read_text().replace('"synthetic": true', '"synthetic": false'))
    with pytest.raises(RecordError, match="never committed"):
        notebook_pages.keep(runs, home / "results")
    assert not list((home / "results").rglob("*.ipynb"))


def test_slim_pictures_are_smaller_and_look_the_same(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 400).astype(np.uint8), (300, 1))
    noisy = np.stack([ramp] * 3, axis=-1) + np.random.default_rng(0).integers(0, 3, (300, 400, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "PNG")
    before = base64.b64encode(file.getvalue()).decode()
    after = notebook_pages.slim(before)
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(after))).convert("RGB"), int)
    # 128 of 256 greys: neighbouring ones become one, and the noise of 2 on top.
    assert len(after) < len(before) / 2 and np.abs(seen - noisy)[:, :390].max() < 10
    assert notebook_pages.slim(after) == after or len(notebook_pages.slim(after)) < len(after)


def test_notebook_figures_have_alternative_text(tmp_path):
    sample.write_notebook(tmp_path / "in.ipynb", "train")
    notebook_pages.make(tmp_path / "in.ipynb", tmp_path / "out.ipynb", "exp1: train", "Open it.")
    made = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert made.cells[0].source == "# exp1: train\n\nOpen it.\n\nWhat this notebook does."
    described = made.cells[-1].metadata["mystnb"]["image"]["alt"]
    assert described == xray_figures.gallery.__doc__.partition("\n")[0].replace("*", "")
    assert notebook_pages.alternative("plot()", "## A *look*\n\nFrom `best` to\nworst. More.") == "From best to worst."
    assert notebook_pages.alternative("plot()", "## The data")


@pytest.mark.parametrize("path", sorted((REPOSITORY / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_figure_of_a_notebook_says_what_it_shows(path):
    """A cell that draws names a function with a sentence about itself."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    for source in cells:
        if re.search(r"\b(xray_figures|sweep_figures|data_figures|score_figures)\.\w+\(", source):
            assert len(notebook_pages.alternative(source, "")) > 20, source


def test_figures_have_no_text_smaller_than_nine_points_at_the_columns_width():
    figure, axis = subplots(figsize=(2 * extension.COLUMN, 3))
    small, large = axis.text(0.5, 0.5, "small", fontsize=7), axis.text(0.2, 0.2, "large", fontsize=30)
    extension.legible(figure)
    figure.canvas.draw()
    assert small.get_fontsize() == 18 and large.get_fontsize() == 30, "shown at half its size"
    assert {label.get_fontsize() for label in axis.get_xticklabels()} == {18}


def test_the_surface_is_that_of_the_explorers_data(home):
    sample.write_runs(home / "results")
    assert "make book" in surface.block({"ours": []})
    data = {"label": "invented", "thresholds": [0.2, 0.5], "removal": [0, 64], "mean": [[0.1, 0.2], [0.3, 0.4]]}
    data |= {"chosen": [0.5, 64], "blank": 0.25, "count": 4, "positive": 3}
    folder = records.best(records.find(home / "results")).folder
    (folder / records.EXPLORER).write_text(f"window.pneumoBundle = {json.dumps(data)};\n")
    sets = {"ours": records.find(home / "results")}
    assert surface.bundle(sets) == data and "4 test images (3 positive)" in surface.block(sets)
    axis = surface.draw(data).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axis.lines}
    assert list(lines["R-TH 64"]) == [0.3, 0.4] and list(lines["no removal"]) == [0.1, 0.2]
    assert list(lines["chosen on validation"]) == [0.4]


def test_the_loss_pages_example_is_the_librarys_loss():
    """4 of 16 pixels true; 0.8 for three of them, 0.2 for one, 0.1 elsewhere."""
    probability = torch.tensor([0.8] * 3 + [0.2] + [0.1] * 12).reshape(1, 1, 4, 4)
    truth = (torch.arange(16) < 4).float().reshape(1, 1, 4, 4)
    logits = torch.logit(probability)
    bce = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth)
    text = (REPOSITORY / "book" / "method" / "loss.md").read_text()
    for value in (bce, soft_dice_loss(logits, truth), BCEDiceLoss()(logits, truth)):
        assert f"= {float(value):.4f}" in text


def test_same_content_is_not_written_again(tmp_path):
    path = tmp_path / "page.md"
    atomic.update_text(path, "text")
    before = path.stat().st_mtime_ns
    atomic.update_text(path, "text")
    assert path.stat().st_mtime_ns == before
    atomic.update_text(path, "other")
    assert path.read_text() == "other"


def test_docstrings_reach_the_pages_as_they_read():
    lines = ["Dice 2|X| of `mask`", "and ``code``"]
    extension.to_restructured_text(None, "function", "name", None, None, lines)
    assert lines == ["Dice 2\\|X\\| of ``mask``", "and ``code``"]


def test_explorer_keeps_a_dozen_telling_images():
    images, probability, truth = sample.maps()
    made = explorer_data.bundle(images, probability, truth, (0.5, 64), "invented")
    assert len(made["images"]) == explorer_data.IMAGES
    assert {one["number"] for one in made["images"]} <= set(range(len(images)))
    assert made["blank"] == 0.5 and made["positive"] == 10
    assert len(made["mean"]) == len(made["removal"]) and len(made["mean"][0]) == len(made["thresholds"])


def test_pictures_of_patients_are_not_published(home, tmp_path):
    record = sample.write_silver(home / "runs" / "siim_silver-demo")
    (record.folder / "gallery.png").write_bytes(b"an X-ray")
    (record.folder / "explorer-data.js").write_text("X-rays")
    written = records.publish(home / "runs" / "siim_silver-demo", tmp_path / "results")
    assert written and not {path.name for path in written} & set(records.PICTURES)
    kept = records.find(tmp_path / "results")[0].per_image
    assert kept["image_id"].tolist() == list(range(1, len(kept) + 1))


def test_every_experiment_has_notes():
    pages = experiment_pages.pages({}, REPOSITORY / "book" / "experiments")
    assert list(pages) == list(experiments.EXPERIMENTS)


def test_kept_runs_are_small_and_whole(runs, home):
    written = records.publish(runs, home / "results" / "phantom-demo")
    assert sum(path.suffix == ".png" for path in written) == 5
    for folder in runs.glob("exp*/seed*"):
        (folder / records.EXPLORER).write_text("a megabyte")
    stale = home / "results" / "phantom-demo" / "exp1" / "seed0" / records.EXPLORER
    stale.write_text("of an earlier run")
    explorers = [
        path for path in records.publish(runs, home / "results" / "phantom-demo") if path.name == records.EXPLORER
    ]
    assert [path.parent.parent.name for path in explorers] == list(experiments.EXPERIMENTS), "one seed of each"
    assert len(records.find(runs)) > len(explorers) or stale.read_text() == "a megabyte"
    kept, own = (records.find(folder) for folder in (home / "results", runs))
    assert [one.values for one in kept] == [one.values for one in own]
    assert all((one.folder / "gallery.png").read_bytes().startswith(b"\x89PNG") for one in kept)


def test_the_footer_tells_a_book_with_patients_from_a_synthetic_one(home, monkeypatch):
    assert extension.footer() == extension.SYNTHETIC
    for name in ("phantom-demo", "siim-demo"):
        sample.write_runs(home / "runs" / name)
        monkeypatch.setenv("PNEUMO_RECORDS", str(home / "runs" / name))
        assert extension.footer() == (extension.SYNTHETIC if name == "phantom-demo" else extension.PATIENTS)
    path = home / "runs" / "phantom-demo" / "exp1" / "seed0" / "record.json"
    path.write_text(path.read_text().replace('"synthetic": true', '"synthetic": false'))
    monkeypatch.setenv("PNEUMO_RECORDS", str(home / "runs" / "phantom-demo"))
    assert extension.footer() == extension.PATIENTS


def test_pictures_of_patients_are_not_kept(runs, home):
    path = runs / "exp1" / "seed0" / "record.json"
    path.write_text(path.read_text().replace('"synthetic": true', '"synthetic": false'))
    written = records.publish(runs, home / "results" / "phantom-demo")
    assert not [path for path in written if path.parts[-3:] == ("exp1", "seed0", "gallery.png")]
    own, kept = (records.read(folder / "exp1" / "seed0") for folder in (runs, home / "results" / "phantom-demo"))
    assert kept.per_image["image_id"].tolist() == list(range(1, len(own.per_image) + 1))
    assert not set(own.per_image["patient_id"]) & set(kept.per_image["patient_id"])
    sums = [one.per_image.groupby("patient_id", sort=False)["dsc"].sum().tolist() for one in (own, kept)]
    assert sums[0] == sums[1], "who belongs together is kept"


def test_kept_images_of_unknown_patients_stay_unknown():
    frame = pd.DataFrame({"image_id": ["a", "b", "c"], "patient_id": ["x", None, "x"]})
    assert records.without_ids(frame)["patient_id"].fillna(0).tolist() == [1, 0, 1]
    said = frame.assign(view="PA", sex="F", age_band="40-59")
    assert list(records.without_ids(said)) == list(records.without_ids(frame)), "what the files say of each patient"
