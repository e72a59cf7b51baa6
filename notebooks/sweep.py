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
# # Choose the thresholds
#
# Predicted probabilities become a mask by two thresholds: pixels above the binarization threshold (B-TH) are on, and connected
# components smaller than the minimum component area (R-TH) are removed. Both are chosen here, on the validation images.

# %% tags=["parameters"]
exp: str = "exp4"  # exp1 ... exp5, or a variant such as exp3-own
data: str = "phantom"  # phantom, or the folder of a copy of SIIM-ACR
profile: str = "demo"  # paper (hours on a GPU), half (hours on two cores), demo (minutes), smoke (seconds)
seed: int = 0  # random seed of weights, order and augmentation
split: str = "auto"  # patient, deck, deck-2k, follow-up, follow-up-90-10, trial; auto: patient where known, else deck
patients: str = ""  # CSV of image ids and NIH file names; empty: the data set's own, if it has one
on_error: str = "stop"  # X-rays that cannot be read: stop and name all of them, or skip (leave them out)
tta: str = "flip"  # flip, contrast, brightness, crop, elastic, grid, optical, separated by commas; or none
rule: str = "component"  # post-processing: component (the deck), mask (the follow-up code), triplet (the first place)
criterion: str = "dsc"  # criterion for thresholds on validation: dsc (mean DSC), iou, stepwise_iou

# %%
from pneumo_lib import parameters, runs

run = runs.start(exp=exp, data=data, profile=profile, seed=seed, split=split, patients=patients, on_error=on_error)
transforms = parameters.checked_transforms(tta)
rule = parameters.checked_rule(rule)
criterion = parameters.checked_criterion(criterion)

# Imports that take seconds come after the checks, so that a wrong value is reported at once.
from pneumo_lib import workflow
from pneumo_lib.evaluation import postprocessing
from pneumo_lib.report import sweep_figures, tables

size = run.experiment.image_size
label = f"{run.experiment.name}, validation, {run.label}"
print(f"{run.experiment.name} at {size} pixels, {run.label}; test-time augmentation: {tta}; rule: {rule}")

# %% [markdown]
# ## Predict the validation images
#
# The mean of the predictions for an image and its changed copies, each put back to the original geometry.

# %%
probability, truth = workflow.predict(run, "validation", transforms)
patients_of_images = run.dataset.part("validation", size).patients

# %% [markdown]
# ## Every pair of thresholds, exactly
#
# Every map is brought to the deck's grid of 512 x 512 pixels, whatever size the network predicts at. B-TH runs from 0.200 to
# 0.900 by 0.001 (the deck); R-TH is 0, a few small values, and the deck's 1,024 to 4,096 pixels. Under rule *triplet* R-TH is a
# pair, top threshold and minimum area: the mask stays where so many pixels exceed the top threshold.

# %%
result = workflow.swept(probability, truth, rule)
chosen = result.best(criterion)
deck = postprocessing.deck_thresholds(rule)
chosen

# %% [markdown]
# Where the curve is flat, the exact threshold matters little. If the band is wider than the curve is high, these images are
# too few to distinguish the thresholds.

# %%
sweep_figures.curve(result, "dsc", chosen=chosen, deck=deck, groups=patients_of_images, label=label)

# %%
sweep_figures.curve(result, "iou", chosen=chosen, deck=deck, groups=patients_of_images, label=label)

# %%
sweep_figures.curve(result, "stepwise_iou", chosen=chosen, deck=deck, groups=patients_of_images, label=label)

# %%
sweep_figures.heat_map(result, "dsc", chosen=chosen, deck=deck, label=label)

# %% [markdown]
# ## Chosen thresholds
#
# They are saved for `notebooks/test`, which applies them to images that were not used for the choice.

# %%
postprocessing.save_thresholds(run.folder, chosen, transforms, criterion)
print("At an edge of its grid:", ", ".join(postprocessing.edges(chosen)) or "neither threshold")
tables.choice(result, chosen, deck)
