# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
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
# The finished model on the test images, with the thresholds chosen on validation, beside the deck's way of choosing them on the
# test images themselves.

# %% tags=["parameters"]
exp: str = "exp4"  # exp1 ... exp5, or a variant: exp3-own, exp5-text
data: str = "phantom"  # phantom, or the folder of a copy of SIIM-ACR
profile: str = "demo"  # paper (hours on a GPU), half (hours on two cores), demo (minutes), smoke (seconds)
seed: int = 0  # of weights, order and augmentation; another seed is a repeat
split: str = "auto"  # patient, deck, follow-up; auto: patient where patients are known, else deck
patients: str = ""  # CSV of image ids and NIH file names; empty: the data set's own, if it has one

# %%
from pneumo_lib import runs
from pneumo_lib.evaluation import removal, steps, sweep
from pneumo_lib.report import figures, records, scores, surfaces, tables

run = runs.start(exp=exp, data=data, profile=profile, seed=seed, split=split, patients=patients)
chosen, transforms = steps.load_choice(run)
size = run.experiment.image_size
print(f"{run.experiment.name} at {size} pixels, {run.label}; test-time augmentation: {', '.join(transforms) or 'none'}")

# %%
probability, truth = steps.predict(run, "test", transforms)
part = run.source.part("test", size)
predicted = removal.apply(probability, chosen.binarization_threshold, chosen.removal_threshold)
per_image = tables.per_image(part, predicted, truth)

# %% [markdown]
# ## Original, ground truth, predicted
#
# From the best to the failures. Misses and false alarms cost a whole image each: they decide the score.

# %%
kinds = figures.pick(per_image)
chosen_rows = list(kinds.values())
figures.gallery(
    part.images[part.rows[chosen_rows]], truth[chosen_rows], predicted[chosen_rows],
    [f"{title}\nDSC {per_image['dsc'][row]:.2f}" for title, row in kinds.items()],
    f"{run.experiment.name}, test, {run.label}",
)  # fmt: skip

# %% [markdown]
# ## The scores
#
# Means with 95 % bootstrap intervals over patients. *Predict nothing* is the blank baseline: every image without a
# pneumothorax counts 1.

# %%
result = sweep.sweep(probability, truth, removal_thresholds=scores.removal_grid(size))
ways = scores.compare(result, steps.counts_without_removal(run, probability, truth), chosen, run.experiment, part)
scores.table(ways)

# %% [markdown]
# Optimism: what choosing the thresholds on the test images adds to mean DSC, with its interval.

# %%
optimism = scores.optimism(result, chosen, part)
scores.interval_text(optimism)

# %%
surfaces.curve(
    result,
    "dsc",
    chosen=chosen,
    groups=part.patients,
    deck=scores.deck_choice(size),
    label=f"{run.experiment.name}, test, {run.label}",
)

# %% [markdown]
# ## The record
#
# What the book and the comparison with the paper read.

# %%
trained = run.trained()
record = records.write(
    run.folder,
    records.about(run)
    | {
        "stages": trained.stages,
        "transforms": transforms,
        "chosen": chosen._asdict(),
        "test": ways,
        "optimism": optimism,
    },
    per_image,
    trained.history,
)
tables.record(record)
