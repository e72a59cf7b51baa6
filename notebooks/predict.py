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
# # Predict your own X-rays
#
# A trained model on DICOM files or PNGs. Research software: **not for clinical use**.

# %% tags=["parameters"]
xrays: str = "phantom"  # a DICOM file, a PNG or a folder of them; phantom: 24 synthetic X-rays
model: str = ""  # folder of a run, or of exported weights; empty: exp4 of the demo runs
out: str = ""  # folder to write into; empty: runs/predictions/ and the name of the X-rays
existing: str = "refuse"  # where the folder holds predictions: refuse, overwrite, or continue with the other files

# %%
from pneumo_lib import runs
from pneumo_lib.evaluation import dicom_seg, predict_files
from pneumo_lib.report import xray_figures

source, trained, folder = runs.from_parameters(xrays, model, out, existing)
print(
    f"{trained.name} at {trained.image_size} px: B-TH {trained.binarization_threshold:.3f}, "
    f"R-TH {trained.removal_threshold} (pixels at 512 x 512)"
)

# %% [markdown]
# ## Predict
#
# For each X-ray a probability map, a mask, an outline on the X-ray, and (for DICOM, with highdicom installed) a DICOM
# Segmentation. Files that cannot be read are listed below; the others are predicted.

# %%
outcome = predict_files.predict_files([source], trained, folder, segmentation=dicom_seg.available(), existing=existing)
outcome.failures or "every file was read"

# %% [markdown]
# ## Results
#
# The decision is positive if a region remains after both thresholds. Areas are in cm² if the pixel spacing is known
# (the challenge's own files keep the spacing of larger originals, which makes their areas too small).

# %%
outcome.predictions.drop(columns=["experiment", "network_size_px", "rule", "transforms", "weights_digest"])

# %%
xray_figures.overlays(folder, outcome.predictions)
