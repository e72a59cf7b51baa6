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
# # The data
#
# Contents of a copy of the data, its split, and examples. Nothing is trained here.

# %% tags=["parameters"]
data: str = "phantom"  # phantom, or the folder of a copy of SIIM-ACR
profile: str = "demo"  # paper, half, demo or smoke: the sizes that are prepared, and how many phantoms are made
split: str = "auto"  # patient, deck, deck-2k, follow-up, follow-up-90-10, trial; auto: patient where known, else deck
patients: str = ""  # CSV of image ids and NIH file names; empty: the data set's own, if it has one
on_error: str = "stop"  # X-rays that cannot be read: stop and name all of them, or skip (leave them out)

# %%
from pneumo_lib import runs
from pneumo_lib.data import siim
from pneumo_lib.report import data_figures

source = runs.start(data=data, profile=profile, split=split, patients=patients, on_error=on_error).dataset
print(source.label)

# %% [markdown]
# ## Contents
#
# Files without a row in the table are unlabelled, not negative; they are not used.

# %%
siim.report(source.index)

# %% [markdown]
# ## Examples
#
# Images with a pneumothorax above (true mask outlined), without below.

# %%
data_figures.gallery(source.part("train", source.profile.image_sizes[-1]), source.label)

# %% [markdown]
# ## Patients, positives and areas
#
# Most images have no pneumothorax, and most masks are small. Both affect the scores.

# %%
data_figures.overview(source.index, source.label)

# %% [markdown]
# Comparison with real X-rays, by numbers only: percentiles of the challenge's mask areas, and the frequency of each grey level
# in 800 X-rays of its test set.

# %%
data_figures.beside_real(source.index, source.at(source.profile.image_sizes[0]).images, source.label)

# %% [markdown]
# ## The split
#
# A patient with images in both training and test makes the test easier than it looks. First the split of these runs, then the
# result of each rule: rules that draw images, not patients, let patients occur in both.

# %%
source.report()

# %%
source.leakage()

# %% [markdown]
# The same X-ray under two ids can also occur in both training and test. The challenge's data contain two such pairs.

# %%
source.same_images()

# %% [markdown]
# The arrays at both sizes, which every experiment reads.

# %%
source.prepare()
