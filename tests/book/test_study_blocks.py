"""The chapter of the tested claims, from invented records and from none."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from pneumo_book import extension, stacking, study_blocks, study_figures
from pneumo_lib import hardware, studies, study_results

REPOSITORY = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("invented_study", REPOSITORY / "tests" / "invented_study.py")
invented_study = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(invented_study)
LABEL = "on phantoms, at 64 → 128 px"


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> study_results.Analysis:
    """A (6 seeds, better and faster), B (4 of 6), flip exactly like A, one seed without augmentation."""
    folder, random = tmp_path_factory.mktemp("records"), np.random.default_rng(0)
    a, b = invented_study.invented(random, 6, 0.3, speed=2), invented_study.invented(random, 4)
    invented_study.write_study(folder, a, b)
    for seed, one in enumerate(a):
        invented_study.write_run(folder, "augmentation", "flip", seed, one)
    invented_study.write_run(folder, "augmentation", "none", 0, invented_study.invented(random, 1)[0])
    return study_results.analyse(folder)


def test_without_records_every_place_says_so():
    nothing = study_results.analyse(None)
    made = study_blocks.write_all(nothing)
    for name, text in made.items():
        assert "not run" in text.lower() and "make study" in text, name
    assert not list(study_figures.draw_all(nothing))


def test_the_front_page_names_verdict_difference_and_scale(found):
    text = study_blocks.verdict_sentence(found)
    assert LABEL in text and "(claims/claims.md)" in text
    assert re.search(r"\*Better\*: \*\*supported\*\* in mean DSC, 0\.\d+ \(", text)
    assert "*Faster*: **supported** in area" in text
    assert (
        "from 6 and 4 trainings (the plan has 6 and 6), in float32. With two stages 6 of 6 trainings reached 0.40"
        in text
    )
    # A rate at which one stage is as good would take the claim back, so it stands beside it.
    assert "against one stage at twice the learning rate, **not run**; against one stage at 5 times" in text


def test_the_front_page_takes_the_control_beside_the_claim(tmp_path):
    a, b = (invented_study.invented(np.random.default_rng(seed), 3, effect) for seed, effect in ((1, 0.3), (2, 0.0)))
    invented_study.write_study(tmp_path, a, b)
    for seed, one in enumerate(a):
        invented_study.write_run(tmp_path, "rate", "one-stage-2x", seed, one)
    text = study_blocks.verdict_sentence(study_results.analyse(tmp_path))
    assert "**supported** in mean DSC, 0." in text
    assert "against one stage at twice the learning rate, **not resolved** in mean DSC, 0.000 (" in text
    assert ") (3 of 6 trainings); against one stage at 5 times" in text


def test_sections_hold_claim_comparisons_and_what_is_missing(found):
    made = study_blocks.write_all(found)
    text = made["claims-two-stage"]
    assert study_blocks.CLAIM in text and LABEL in text and "Holm" in text
    # The verdict of the claim stands above figures and table, of its primary comparisons alone.
    answer = text[text.index("**Verdict**") : text.index(":::")]
    assert re.search(
        r"one stage\? \(A \u2212 B\): \*\*supported\*\* in mean DSC, 0.*, and \*\*supported\*\* in AUROC", answer
    )
    assert answer.count("\n- ") == 2 and "positive-only DSC," not in answer.split("faster?")[0]
    assert "(full \u2212 flip): **not resolved** in mean DSC, 0.000 (" in made["claims-augmentation"]
    assert "B 4 of 6" in text and "A 6 of 6" not in text
    assert re.search(r"within the compute that every arm spent: A: \d of 6, B: \d of 4", text)
    assert "| 0.000 (" in made["claims-augmentation"] and "not resolved; detectable 0." in made["claims-augmentation"]
    assert "| supported |" in text and "| not run |" in text
    assert "not resolved: only one run |" in made["claims-augmentation"]
    # No interval over one seed, and the list says why.
    assert re.search(
        r"\(full \u2212 none\): \*\*not resolved\*\* in mean DSC, \S+ \(only one run\)", made["claims-augmentation"]
    )
    assert re.search(r"\| full \u2212 none \|.*\(–\) \| – \| 6\u00a0and\u00a01 \|", made["claims-augmentation"])
    assert "**Not run.**" in made["claims-schedule"]
    assert "full \u2212 none" in made["claims-worth"]
    assert "no number suffices" in made["claims-power"] and "exp5 \u2212 exp4, stage 2" in made["claims-power"]


def test_runs_of_two_precisions_are_named(found, tmp_path):
    assert "Not held fixed" not in "".join(study_blocks.write_all(found).values())
    some = invented_study.invented(np.random.default_rng(1), 2)
    for arm, precision in (("A", hardware.MIXED), ("B", hardware.FLOAT32)):
        for seed, one in enumerate(some):
            invented_study.write_run(tmp_path, "two-stage", arm, seed, one, precision=precision)
    made = study_blocks.write_all(study_results.analyse(tmp_path))
    assert "in bf16 A (seeds 0, 1); in float32 B (seeds 0, 1)." in made["claims-two-stage"]
    # No precision has runs of both arms.
    assert "within one precision" in made["claims-two-stage"] and "3 and 2 runs" not in made["claims-two-stage"]
    # All of its runs so far are A's.
    assert "Not held fixed" not in made["claims-rate"]


def test_a_difference_is_given_within_one_precision_where_both_arms_have_it(tmp_path):
    a, faulty, b = (
        invented_study.invented(np.random.default_rng(k), 3, shift) for k, shift in enumerate((0.1, 0.4, 0.0))
    )
    # In bf16 A would be better by 0.4, in float32 by 0.1.
    for first, arm, some, precision in (
        (0, "A", a, hardware.FLOAT32),
        (3, "A", faulty, hardware.MIXED),
        (0, "B", b, hardware.FLOAT32),
    ):
        for seed, one in enumerate(some, first):
            invented_study.write_run(tmp_path, "two-stage", arm, seed, one, precision=precision)
    found = study_results.analyse(tmp_path)
    row = next(
        line
        for line in study_blocks.write_all(found)["claims-two-stage"].split("within one precision")[1].splitlines()
        if line.startswith("| A \u2212 B | mean DSC |")
    )
    every, only = (float(re.match(r"\D*(0\.\d+) \(", cell)[1]) for cell in row.split("|")[3:5])
    assert abs(only - 0.1) < 0.03 and every > 0.2 and "3 and 3 runs" in row
    assert "in bf16 and float32." in study_blocks.verdict_sentence(found)


def test_every_figure_of_a_section_is_drawn_and_no_other(found):
    shown = set(re.findall(r"figures/(claims-[\w-]+\.svg)", "".join(study_blocks.write_all(found).values())))
    drawn = dict(study_figures.draw_all(found))
    # Each a second time for narrow screens.
    assert drawn.keys() == shown | {stacking.stacked(name) for name in shown}
    assert shown > {study_blocks.CONVERGENCE, "claims-two-stage-better.svg"}
    forest = drawn["claims-two-stage-better.svg"].axes
    assert [axis.get_xlabel() for axis in forest] == ["mean DSC", "AUROC", "positive-only DSC"]
    # One dot for each seed of A.
    assert [len(line.get_xdata()) for line in forest[0].lines if line.get_marker() == "."] == [6]
    for figure in drawn.values():
        extension.legible(figure)
        figure.canvas.draw()


def test_every_study_of_the_plan_has_its_section_on_the_page():
    text = (REPOSITORY / "book" / "claims" / "claims.md").read_text()
    for name in studies.STUDIES:
        assert f"generated/claims-{name}.md" in text, name
    listed = (REPOSITORY / "_toc.yml").read_text()
    assert all(f"book/claims/{page}\n" in listed for page in ("claims", "power", "plan"))


def test_records_are_ones_own_before_the_committed_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("PNEUMO_HOME", str(tmp_path))
    monkeypatch.delenv("PNEUMO_RECORDS", raising=False)
    (tmp_path / "results").mkdir()  # else those of the repository are shown
    assert study_blocks.folder() is None
    run = invented_study.invented(np.random.default_rng(1), 1)[0]
    invented_study.write_run(tmp_path / "results" / "phantom-study", "two-stage", "A", 0, run)
    assert study_blocks.folder() == tmp_path / "results" / "phantom-study"
    invented_study.write_run(tmp_path / "runs" / "phantom-study", "two-stage", "A", 0, run)
    monkeypatch.setenv("PNEUMO_RECORDS", str(tmp_path / "runs" / "phantom-demo"))
    assert study_blocks.folder() == tmp_path / "runs" / "phantom-study"


def test_the_plans_commit_is_a_link_where_the_address_is_known(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/something")
    assert study_blocks.plan_commit().endswith("(https://github.com/someone/something/commit/9ed73d7)")
    monkeypatch.setattr(study_blocks.launch, "address", lambda: None)
    assert study_blocks.plan_commit() == "`9ed73d7`"


def test_published_differences_are_those_of_the_papers_tables():
    found = study_blocks.published_differences()
    assert found["paper: exp5 \u2212 exp4, stage 2"] == pytest.approx(0.7850 - 0.7842)
    assert found["test DSC: paper \u2212 deck"] == pytest.approx(0.8356 - 0.8347)
