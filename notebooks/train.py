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
# # Train one experiment
#
# Two stages: the U-Net first learns on small images, then continues with larger ones from the same weights. Look for a
# validation loss that still falls when the second stage begins.

# %% tags=["parameters"]
exp: str = "exp4"  # exp1 ... exp5, or a variant such as exp3-own
data: str = "phantom"  # phantom, or the folder of a copy of SIIM-ACR
profile: str = "demo"  # paper (hours on a GPU), half (hours on two cores), demo (minutes), smoke (seconds)
seed: int = 0  # random seed of weights, order and augmentation
split: str = "auto"  # patient, deck, deck-2k, follow-up, follow-up-90-10, trial; auto: patient where known, else deck
patients: str = ""  # CSV of image ids and NIH file names; empty: the data set's own, if it has one
on_error: str = "stop"  # X-rays that cannot be read: stop and name all of them, or skip (leave them out)
weights: str = "auto"  # imagenet, none (random), or a .safetensors file; auto: the profile's
encoder: str = "auto"  # any encoder of segmentation_models_pytorch; auto: the experiment's
accumulate: int = 1  # forward passes per step, if a batch does not fit into memory
precision: str = "auto"  # 32 (float32), bf16 (mixed); auto: bf16 if the device has instructions for it
logger: str = "none"  # none, or tensorboard: curves in the run's folder tensorboard/; needs the extra of that name
force: bool = False  # train from the beginning even if weights exist

# %%
from pneumo_lib import runs

run = runs.start(
    exp, data, profile, seed, split, patients, weights, accumulate, force, precision, logger, encoder, on_error
)
first_stage = run.first_stage()

# Imports that take seconds come after the checks, so that a wrong value is reported at once.
from pneumo_lib import training, workflow
from pneumo_lib.report import score_figures, tables, xray_figures

print(f"{run.experiment.name}: {run.experiment.question} ({run.label})")

# %% [markdown]
# ## The pipeline
#
# Every setting and its source. The deck does not give the learning rate or the averaging window.

# %%
tables.settings(run.experiment)

# %% [markdown]
# Differences from the previous pipeline:

# %%
tables.differences(run.experiment)

# %% [markdown]
# ## The data
#
# The number of images in each subset, and whether training and test images share patients.

# %%
run.dataset.report()

# %%
xray_figures.batch(
    run.dataset.part("train", run.experiment.stages[0].image_size),
    run.label,
    seed=run.seed,
    strength=run.experiment.augmentation_strength,
    listed=run.experiment.augmentation_list,
)

# %% [markdown]
# ## Training
#
# The plan, then the training. An interrupted run resumes where it was when it is started again.

# %%
training.plan(run.experiment, run.dataset, run.folder, run.initial, precision)

# %%
result = training.train(
    run.experiment,
    run.dataset,
    run.folder,
    run.seed,
    first_stage,
    force,
    initial=run.initial,
    accumulate=accumulate,
    precision=precision,
    logger=logger,
)

# %% [markdown]
# A training loss far below the validation loss indicates overfitting. The dotted line separates the stages.

# %%
score_figures.curves(result.history, f"{run.experiment.name}, {run.label}")

# %% [markdown]
# The finished weights of each stage on the validation images, at the pipeline's binarization threshold and without removal.
# The empty-mask baseline is the score of empty masks on the same images.

# %%
tables.stages(result.stages, run)

# %% [markdown]
# The cost of training, over all sessions of an interrupted run. Images per second are of training, without validation.

# %%
result.cost()

# %% [markdown]
# ## Validation images
#
# The pneumothorax should be outlined along the pleural line, not as a blob in its middle.

# %%
workflow.first_predictions(run)

# %% [markdown]
# ## Output files
#
# The weights (safetensors), the history and the settings. `notebooks/sweep` reads them.

# %%
run.files()
