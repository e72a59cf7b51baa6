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
# # One run of a study
#
# An arm differs from the study's base in one thing. `pneumo_lib/studies.py` says which, and what is compared.

# %% tags=["parameters"]
study: str = "two-stage"  # two-stage, rate, restart, channels, batch, schedule or augmentation
arm: str = "A"  # of the study; an arm that is trained like the base is two-stage's A
seed: int = 0  # random seed of weights, order and augmentation
data: str = "phantom"  # phantom, or the folder of a copy of SIIM-ACR
profile: str = "study"  # scale of the run; paper: hours on a GPU
keep: bool = False  # keep the weights and probability maps

# %%
from pneumo_lib import experiments, parameters, records, studies
from pneumo_lib import study as study_runs
from pneumo_lib.report import score_figures, tables

run = study_runs.start(study, arm, seed, data, profile)
keep = parameters.checked_switch("keep", keep)
planned = studies.get(study)
print(f"{planned.claim}\n{planned.hypothesis}\n{arm}: {run.experiment.question} ({run.label})")

# %% [markdown]
# ## Difference from the base
#
# The value of the base and that of this arm.

# %%
experiments.differences(run.experiment, experiments.get(studies.BASE, profile))

# %% [markdown]
# ## Train, choose thresholds on validation, test
#
# A run with a record is not repeated; an interrupted run resumes.

# %%
study_runs.run_one(run, keep)

# %%
record = records.read(run.folder)
score_figures.curves(record.history, f"{study}, {arm}, {run.label}")

# %% [markdown]
# ## The record
#
# The file that the comparison of the arms is built from.

# %%
tables.record(record)
