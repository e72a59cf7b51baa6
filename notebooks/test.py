# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Test
#
# The finished model on the test images, with thresholds chosen on validation images and, for comparison, as in the deck, on
# the test images themselves.

# %% tags=["parameters"]
exp: str = "exp4"  # exp1 ... exp5, or a variant such as exp3-own
data: str = "phantom"  # phantom, or the folder of a copy of SIIM-ACR
profile: str = "demo"  # paper (hours on a GPU), half (hours on two cores), demo (minutes), smoke (seconds)
seed: int = 0  # random seed of weights, order and augmentation
split: str = "auto"  # patient, deck, deck-2k, follow-up, follow-up-90-10, trial; auto: patient where known, else deck
patients: str = ""  # CSV of image ids and NIH file names; empty: the data set's own, if it has one
on_error: str = "stop"  # X-rays that cannot be read: stop and name all of them, or skip (leave them out)
test_data: str = ""  # folders of other data to test on, separated by commas; empty: the run's own test images
test_patients: str = ""  # as patients, for test_data
seen: str = "refuse"  # images of test_data that the run has seen: refuse, or leave-out
tta_table: bool = True  # measure what each augmentation adds: 8 forward passes per image, hours for paper without a GPU

# %%
from pneumo_lib import parameters, runs

run = runs.start(exp=exp, data=data, profile=profile, seed=seed, split=split, patients=patients, on_error=on_error)
tta_table = parameters.checked_switch("tta_table", tta_table)

# Imports that take seconds come after the checks, so that a wrong value is reported at once.
from pneumo_lib import workflow
from pneumo_lib.evaluation import postprocessing
from pneumo_lib.report import score_figures, sweep_figures, tables, xray_figures

run = runs.on_other_data(run, test_data, test_patients, seen) if test_data else run
chosen, transforms = workflow.load_thresholds(run)
size = run.experiment.image_size
label = f"{run.experiment.name}, test, {run.label}"
print(f"{run.experiment.name} at {size} pixels, {run.label}; test-time augmentation: {', '.join(transforms) or 'none'}")

# %%
probability, truth = workflow.predict(run, "test", transforms)
part = run.dataset.part("test", size)
result = workflow.swept(probability, truth, chosen.rule)
protocols = workflow.protocols(run, result, probability, truth, chosen)
per_image = workflow.scored(run, "test", protocols, probability, truth, chosen)

# %% [markdown]
# ## Original, ground truth, predicted
#
# From the best prediction to the failures. A false negative and a false positive each score 0 for a whole image.

# %%
gallery = workflow.gallery(run, part, probability, per_image, chosen)
workflow.save_pictures(run, gallery, probability, chosen)
gallery

# %% [markdown]
# ## The scores
#
# All masks are compared on the deck's grid of 512 x 512 pixels. Means with 95 % intervals over patients, one seed.
# *Empty masks* are the baseline: every image without a pneumothorax counts 1.

# %%
measured = workflow.measure(run, result, protocols, probability, truth, per_image)
tables.score_table(measured["test"])

# %% [markdown]
# The selection gap is the gain in mean DSC from choosing the thresholds on these test images.

# %%
tables.interval_text(measured["selection_gap"])

# %%
sweep_figures.curve(
    result,
    "dsc",
    chosen=chosen,
    groups=part.patients,
    deck=postprocessing.deck_thresholds(chosen.rule),
    label=label,
)

# %% [markdown]
# ## Detection and area
#
# An image counts as predicted positive if a region remains after both thresholds.

# %%
tables.detection_table(measured["detection"])

# %% [markdown]
# ## By view, sex, age and size
#
# A group's mean DSC depends on how many of its images show no pneumothorax: compare it with that of empty masks, and groups
# with each other on the right. Small groups have wide intervals.

# %%
groups = tables.subgroups(measured)
score_figures.subgroup_chart(groups, label)

# %%
tables.subgroup_table(groups)

# %% [markdown]
# ## Calibration
#
# Of the pixels with a predicted probability of 0.8, 80 % should be true. Nearly all pixels lie in the lowest bin and dominate
# the expected calibration error, so read it together with the curve.

# %%
score_figures.reliability_diagram(measured["calibration"], label)

# %% [markdown]
# ## What test-time augmentation adds
#
# Each transform alone, with the unchanged image as always, and all seven together, with the same thresholds. A gain whose
# line crosses 0 may be chance.

# %%
gain = workflow.gain_of_tta(run, truth, chosen, wanted=tta_table)
tables.tta_gain_table(gain)

# %%
score_figures.tta_gain_chart(gain, label)

# %%
workflow.tta_pictures(run, dict(list(xray_figures.pick(per_image).items())[:3]), transforms, chosen, label)

# %% [markdown]
# ## The record
#
# The file that the book and the comparison with the paper are built from.

# %%
measured["tta_effects"] = None if gain is None else gain.to_dict("records")
record = workflow.write_record(run, chosen, transforms, measured, per_image)
tables.record(record)
