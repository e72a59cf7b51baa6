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
# The finished model on the test images, with the thresholds chosen on validation, beside the deck's way of choosing them on the
# test images themselves.

# %% tags=["parameters"]
exp: str = "exp4"  # exp1 ... exp5, or a variant: exp3-own, exp5-text
data: str = "phantom"  # phantom, or the folder of a copy of SIIM-ACR
profile: str = "demo"  # paper (hours on a GPU), half (hours on two cores), demo (minutes), smoke (seconds)
seed: int = 0  # of weights, order and augmentation; another seed is a repeat
split: str = "auto"  # patient, deck, follow-up; auto: patient where patients are known, else deck
patients: str = ""  # CSV of image ids and NIH file names; empty: the data set's own, if it has one
tta_table: bool = True  # measure what each augmentation adds: 8 forward passes an image, hours for paper without a GPU

# %%
from pneumo_lib import parameters, records, runs, workflow
from pneumo_lib.evaluation import measures, postprocessing, scores, sweep
from pneumo_lib.report import score_figures, style, sweep_figures, tables, xray_figures

run = runs.start(exp=exp, data=data, profile=profile, seed=seed, split=split, patients=patients)
tta_table = parameters.checked_switch("tta_table", tta_table)
chosen, transforms = workflow.load_thresholds(run)
size = run.experiment.image_size
label = f"{run.experiment.name}, test, {run.label}"
print(f"{run.experiment.name} at {size} pixels, {run.label}; test-time augmentation: {', '.join(transforms) or 'none'}")

# %%
probability, truth = workflow.predict(run, "test", transforms)
part = run.dataset.part("test", size)
predicted = postprocessing.apply(probability, *chosen[:2], chosen.rule)
per_image = measures.per_image(part, predicted, truth)

# %% [markdown]
# ## Original, ground truth, predicted
#
# From the best to the failures. Misses and false alarms cost a whole image each: they decide the score.

# %%
kinds = xray_figures.pick(per_image)
shown = list(kinds.values())
gallery = xray_figures.gallery(
    part.images[part.rows[shown]], truth[shown], predicted[shown],
    [f"{title}\nDSC {per_image['dsc'][row]:.2f}" for title, row in kinds.items()],
    label,
)  # fmt: skip
workflow.save_pictures(run, gallery, probability, truth, chosen)
gallery

# %% [markdown]
# ## The scores
#
# Means with 95 % bootstrap intervals over patients. *Predict nothing* is the blank baseline: every image without a
# pneumothorax counts 1.

# %%
grid = postprocessing.removal_grid(size, chosen.rule)
result = sweep.sweep(probability, truth, removal_thresholds=grid, rule=chosen.rule)
ways = scores.compare(result, workflow.counts_without_removal(run, probability, truth), chosen, run.experiment, part)
tables.score_table(ways)

# %% [markdown]
# Optimism: what choosing the thresholds on the test images adds to mean DSC, with its interval.

# %%
optimism = scores.optimism(result, chosen, part)
print(style.interval_text(optimism))

# %%
sweep_figures.curve(
    result,
    "dsc",
    chosen=chosen,
    groups=part.patients,
    deck=postprocessing.deck_thresholds(size, chosen.rule),
    label=label,
)

# %% [markdown]
# ## Is there a pneumothorax, where, and how large?
#
# An image counts as called where a region is left after both thresholds.

# %%
found = measures.measure_detection(per_image, part.patients)
tables.detection_table(found)

# %% [markdown]
# ## By view, sex, age and size
#
# A group's mean DSC depends on how many of its images show no pneumothorax: compare it with predicting nothing, and groups
# with each other on the right. Small groups have wide intervals.

# %%
groups = measures.measure_subgroups(per_image["dsc"], part.index)
score_figures.subgroup_chart(groups, label)

# %%
tables.subgroup_table(groups)

# %% [markdown]
# ## Do the probabilities mean what they say?
#
# Of the pixels with a predicted probability of 0.8, 80 % should be true. Nearly all pixels lie in the lowest bin and rule the
# expected calibration error: read it with the curve.

# %%
reliability = measures.measure_calibration(probability, truth, part.patients)
score_figures.reliability_diagram(reliability, label)

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
workflow.tta_pictures(run, dict(list(kinds.items())[:3]), transforms, chosen, label)

# %% [markdown]
# ## The record
#
# What the book and the comparison with the paper read.

# %%
measured = {
    "transforms": transforms,
    "chosen": chosen._asdict(),
    "test": ways,
    "optimism": optimism,
    "detection": found,
    "subgroups": groups.to_dict("records"),
    "calibration": reliability,
    "tta_effects": None if gain is None else gain.to_dict("records"),
}

# %%
trained = run.trained()
values = records.about(run) | {"stages": trained.stages} | measured
record = records.write(run.folder, values, per_image, trained.history)
tables.record(record)
