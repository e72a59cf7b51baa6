"""Predicts X-rays of one's own: `pneumo predict X-RAYS --model RUN --out FOLDER`.

Research software, not for clinical use. X-RAYS are DICOM files, PNGs or folders of them; RUN is a run's folder or one with
exported weights. In FOLDER: `predictions.csv` (one row an X-ray: decision, area, thresholds), `masks.csv` (RLE at the
X-ray's own size), and for each X-ray `probability/` (16-bit PNG at the network's size, 65,535 is 1), `mask/` (PNG),
`overlay/` (the X-ray with the region outlined) and, for DICOM, `segmentation/` (DICOM Segmentation). Files that cannot be
read are named at the end. No patient field of a DICOM file is shown or written anywhere but in its DICOM Segmentation.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from pneumo_lib import atomic, paths
from pneumo_lib.data import radiographs, rle
from pneumo_lib.data.preprocessing import resize_image
from pneumo_lib.data.radiographs import Radiograph
from pneumo_lib.errors import PneumoError, RadiographError, SegmentationError
from pneumo_lib.evaluation import dicom_seg, postprocessing, tta
from pneumo_lib.evaluation.inference import TrainedModel

OUTLINE = (0, 159, 230)  # blue, green, red: orange of Okabe and Ito's palette


class Outcome(NamedTuple):
    """predictions: one row an X-ray, as in `predictions.csv`. failures: file → why nothing or not all was written."""

    predictions: pd.DataFrame
    failures: dict[str, str]


def predict_files(
    sources: Iterable[str | os.PathLike],
    model: TrainedModel,
    out: str | os.PathLike,
    batch_size: int = 5,
    segmentation: bool = True,
    progress: bool = True,
) -> Outcome:
    """Predicts files, a batch at a time, and writes everything of a file before the next batch is read.

    Args:
        sources: DICOM files, PNGs or folders of them, see `radiographs.find`.
        model: of `trained.load`.
        out: folder to write into; must not hold predictions yet.
        batch_size: X-rays in memory and in a forward pass.
        segmentation: write DICOM Segmentation objects (needs highdicom).
        progress: a bar on stderr.

    Returns:
        Outcome; a file that cannot be read fails alone.

    Raises:
        RadiographError: no X-ray, none that can be read, or predictions in `out` already.
        SegmentationError: highdicom is missing.
        WriteError: `out` cannot be written to, or the disk is full.
    """
    out, files = paths.given(out), radiographs.find(sources)
    if (out / "predictions.csv").exists():
        raise RadiographError(f"{out} holds predictions already; choose another folder.")
    if segmentation and not dicom_seg.available():
        raise SegmentationError(
            "DICOM Segmentation needs the package highdicom; install it (pip install highdicom) or leave it out "
            "(--no-segmentation)."
        )
    rows, masks, failures = [], [], {}
    bar = tqdm(files.items(), "predict", unit="X-ray", disable=not progress)
    xrays = _readable(bar, failures)
    while batch := list(islice(xrays, batch_size)):
        images = np.stack([resize_image(xray.image, model.image_size) for _, xray in batch])
        for (name, xray), probability in zip(batch, _probabilities(model, images), strict=True):
            mask = postprocessing.apply(probability, model.binarization_threshold, model.removal_threshold, model.rule)
            full = postprocessing.to_shape(mask, xray.image.shape)
            _write_pictures(out, name, xray, probability, full)
            if segmentation and xray.is_dicom:
                _write_segmentation(out, name, xray, full, failures)
            rows.append(_row(name, xray, probability, full, model))
            masks.append({"ImageId": name, "EncodedPixels": rle.encode(full)})
    if not rows:
        first = next(iter(failures.values()))
        raise RadiographError(f"none of {len(files)} files can be read; the first: {first}")
    predictions = pd.DataFrame(rows)
    atomic.write_csv(out / "masks.csv", pd.DataFrame(masks))
    atomic.write_csv(out / "predictions.csv", predictions)
    return Outcome(predictions, failures)


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The X-ray with the predicted region outlined: uint8 (H, W) and bool (H, W) → uint8 (H, W, 3), blue first."""
    picture = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(picture, outlines, -1, OUTLINE, max(1, round(max(image.shape) / 400)), cv2.LINE_AA)


def _readable(files: Iterable[tuple[str, Path]], failures: dict[str, str]) -> Iterator[tuple[str, Radiograph]]:
    for name, path in files:
        try:
            with dicom_seg.quiet():
                xray = radiographs.read(path)
        except PneumoError as error:
            failures[str(path)] = str(error)
        else:
            yield name, xray


def _probabilities(model: TrainedModel, images: np.ndarray) -> np.ndarray:
    return tta.predict(model.network, images, model.transforms, len(images))


def _write_pictures(out: Path, name: str, xray: Radiograph, probability: np.ndarray, mask: np.ndarray) -> None:
    pictures = {
        "probability": np.round(probability * 65535).astype(np.uint16),
        "mask": mask.astype(np.uint8) * 255,
        "overlay": overlay(xray.image, mask),
    }
    for kind, picture in pictures.items():
        with atomic.replacing(out / kind / f"{name}.png") as temporary:
            temporary.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def _write_segmentation(out: Path, name: str, xray: Radiograph, mask: np.ndarray, failures: dict[str, str]) -> None:
    try:
        with atomic.replacing(out / "segmentation" / f"{name}.dcm") as temporary:
            dicom_seg.write(temporary, mask, xray.path)
    except SegmentationError as error:
        failures[str(xray.path)] = str(error)


def _row(name: str, xray: Radiograph, probability: np.ndarray, mask: np.ndarray, model: TrainedModel) -> dict:
    area = int(mask.sum())
    return {
        "name": name,
        "pneumothorax": area > 0,
        "area_px": area,
        "area_cm2": round(area * xray.pixel_spacing_mm**2 / 100, 2),
        "largest_probability": round(float(probability.max()), 4),
        "binarization_threshold": model.binarization_threshold,
        "removal_threshold_px": model.removal_threshold,
        "network_size_px": model.image_size,
        "experiment": model.name,
    }
