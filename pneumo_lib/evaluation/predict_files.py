"""Prediction of the user's own X-rays: `pneumo predict X-RAYS --model RUN --out FOLDER`.

Research software, not for clinical use. X-RAYS are DICOM files, PNGs or folders of them; RUN is a run's folder or one
with exported weights. In FOLDER: `predictions.csv` (one row per X-ray: decision, area, and the model and thresholds that
made it), `masks.csv` (RLE at the X-ray's own size), `not_predicted.csv` (every other file and the reason), and for each
X-ray `probability/` (16-bit PNG at the network's size, 65,535 is 1), `mask/` (PNG), `overlay/` (the X-ray with the region
outlined) and, for DICOM, `segmentation/` (DICOM Segmentation). An area is measured at the detector, uncorrected for
magnification, where `spacing_at_detector` is true; the challenge's own files keep the spacing of NIH's larger originals
(1,024 pixels of 0.14 to 0.19 mm would be 14 to 20 cm wide), so that their areas are too small. Files that cannot be read
are named at the end. No patient field of a DICOM file is shown or written anywhere but in its DICOM Segmentation.
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from torch import nn
from tqdm import tqdm

from pneumo_lib import atomic, paths
from pneumo_lib.data import radiographs, rle
from pneumo_lib.data.preprocessing import resize_image
from pneumo_lib.data.radiographs import Radiograph
from pneumo_lib.errors import PneumoError, RadiographError, SegmentationError
from pneumo_lib.evaluation import dicom_seg, postprocessing, tta
from pneumo_lib.evaluation.common_grid import enlarge
from pneumo_lib.evaluation.inference import TrainedModel

OUTLINE = (0, 159, 230)  # blue, green, red: orange of Okabe and Ito's palette


class Outcome(NamedTuple):
    """Result of every file.

    predictions: one row per X-ray, as in `predictions.csv`.
    failures: file → why it could not be read or was refused.
    left_out: file of a searched folder → why it was not taken for an X-ray.
    unsegmented: predicted file → why it has no DICOM Segmentation.
    ignored_hints: predicted file → which display hints of its header are unusable and were ignored.
    """

    predictions: pd.DataFrame
    failures: dict[str, str]
    left_out: dict[str, str]
    unsegmented: dict[str, str]
    ignored_hints: dict[str, str]

    def notes(self) -> list[str]:
        """One line for each reason why something was left out, missing or ignored, with the number of files."""
        kinds = {
            "left out": self.left_out,
            "predicted without a DICOM Segmentation": self.unsegmented,
            "predicted although display hints of the header are unusable": self.ignored_hints,
        }
        lines = []
        for kind, reasons in kinds.items():
            # Without its file's name the reason of one file is that of all with the same fault.
            alike = Counter(reason.removeprefix(f"{path}: ") for path, reason in reasons.items())
            lines += [f"{number} file{'s'[: number != 1]} {kind}: {reason}" for reason, number in alike.items()]
        return lines


def predict_files(
    sources: Iterable[str | os.PathLike],
    model: TrainedModel,
    out: str | os.PathLike,
    batch_size: int = 5,
    segmentation: bool = True,
    progress: bool = True,
    any_image: bool = False,
    existing: str = "refuse",
) -> Outcome:
    """Predicts files, a batch at a time, and writes the pictures and the DICOM Segmentations of a batch before the next.

    The tables are written after the first batch, from time to time and at the end, an interruption included.

    Args:
        sources: DICOM files, PNGs or folders of them, see `radiographs.find`.
        model: of `inference.load_model`.
        out: folder to write into.
        batch_size: X-rays in memory and in a forward pass.
        segmentation: write DICOM Segmentation objects (needs highdicom).
        progress: a bar on stderr.
        any_image: also predict images whose header says that they are no frontal chest X-ray.
        existing: what to do where `out` holds predictions: "refuse", "overwrite" or "continue", which keeps them and
            predicts the other files.

    Returns:
        Outcome; a file that cannot be read fails alone.

    Raises:
        RadiographError: no X-ray, none that can be read, or predictions in `out` already; with "continue" only those that
            are damaged or were made with another model, thresholds, rule or transforms.
        SegmentationError: highdicom is missing.
        WriteError: `out` cannot be written to, or the disk is full.
    """
    out, found = paths.given(out), radiographs.find(sources)
    settings = _settings(model)
    rows, masks = _kept(out, settings, existing)
    if segmentation and not dicom_seg.available():
        raise SegmentationError(
            "DICOM Segmentation needs the package highdicom; install it (pip install highdicom) or leave it out "
            "(--no-segmentation)."
        )
    outcome = Outcome(pd.DataFrame(), {}, {str(path): reason for path, reason in found.left_out.items()}, {}, {})
    done = {row["name"] for row in rows}
    left = {name: path for name, path in found.files.items() if name not in done}
    bar = tqdm(left.items(), "predict", unit="X-ray", disable=not progress)
    xrays = _readable(bar, outcome, any_image)
    due = 0.0
    try:
        while batch := list(islice(xrays, batch_size)):
            first = len(rows)
            images = np.stack([resize_image(xray.image, model.image_size) for _, xray in batch])
            for (name, xray), probability in zip(batch, _probabilities(model, images, first), strict=True):
                chosen = (model.binarization_threshold, model.removal_threshold, model.rule)
                mask = postprocessing.apply(enlarge(probability), *chosen)
                full = postprocessing.to_shape(mask, xray.image.shape)
                _write_pictures(out, name, xray, probability, full)
                if segmentation and xray.is_dicom:
                    _write_segmentation(out, name, xray, full, outcome)
                # The mask first: a mask without its prediction is dropped by `_kept`.
                masks.append({"ImageId": name, "EncodedPixels": rle.encode(full)})
                rows.append(_row(name, xray, probability, full, settings))
            if (started := time.monotonic()) >= due:
                _write_tables(out, rows, masks, outcome)
                # Whole tables take longer the more rows they have: they get a twentieth of the time, however many files.
                due = time.monotonic() + 20 * (time.monotonic() - started)
    finally:
        if rows:
            _write_tables(out, rows, masks, outcome)
    if not rows:
        reason = next(iter(outcome.failures.values()))
        raise RadiographError(f"none of {len(found.files)} files can be predicted; the first: {reason}")
    return outcome._replace(predictions=pd.DataFrame(rows))


def _settings(model: TrainedModel) -> dict:
    """Everything that determines a prediction, as columns of `predictions.csv`."""
    return {
        "binarization_threshold": float(model.binarization_threshold),
        "removal_threshold_px": model.removal_threshold,
        "network_size_px": model.image_size,
        "experiment": model.name,
        "rule": model.rule,
        "transforms": " ".join(model.transforms),
        "weights_digest": _digest(model.network),
    }


def _digest(network: nn.Module) -> str:
    """Of the weights in memory, not of a file: a model may be loaded from any."""
    digest = hashlib.blake2b(digest_size=8)
    for tensor in network.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _write_tables(out: Path, rows: list[dict], masks: list[dict], outcome: Outcome) -> None:
    atomic.write_csv(out / "masks.csv", pd.DataFrame(masks))
    atomic.write_csv(out / "not_predicted.csv", _not_predicted(outcome))
    atomic.write_csv(out / "predictions.csv", pd.DataFrame(rows))


def _kept(out: Path, settings: dict, existing: str) -> tuple[list[dict], list[dict]]:
    """The rows of `predictions.csv` and `masks.csv` that `out` holds and that are kept."""
    if existing not in ("refuse", "overwrite", "continue"):
        raise RadiographError(f"unknown existing={existing!r}; choose from refuse, overwrite, continue.")
    if existing == "overwrite" or not (out / "predictions.csv").exists():
        return [], []
    if existing == "refuse":
        raise RadiographError(
            f"{out} already contains predictions; existing='overwrite' replaces them, 'continue' adds the other files."
        )
    try:
        kept = pd.read_csv(
            out / "predictions.csv",
            dtype=dict.fromkeys(["name", *settings], str),
            keep_default_na=False,  # an X-ray may be named NA
            na_values={"area_cm2": [""]},
        )
        masks = pd.read_csv(out / "masks.csv", dtype=str, keep_default_na=False)[["ImageId", "EncodedPixels"]]
        # Written first, the table of masks may be ahead of the predictions if the process was killed.
        masks = masks[: len(kept)]
        if masks["ImageId"].tolist() != kept["name"].tolist():
            raise ValueError("the tables name different X-rays")
        changed = [column for column, value in settings.items() if (kept[column] != str(value)).any()]
    except (OSError, KeyError, ValueError) as error:
        raise RadiographError(
            f"cannot read predictions.csv and masks.csv in {out} as tables of predictions; choose another folder, or "
            "replace them with existing='overwrite' (--overwrite)."
        ) from error
    if changed:
        raise RadiographError(
            f"{out} contains predictions of another model or with other settings ({', '.join(changed)} changed); choose "
            "another folder."
        )
    return [row | settings for row in kept.to_dict("records")], masks.to_dict("records")


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The X-ray with the predicted region outlined: uint8 (H, W) and bool (H, W) → uint8 (H, W, 3), blue first."""
    picture = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(picture, outlines, -1, OUTLINE, max(1, round(max(image.shape) / 400)), cv2.LINE_AA)


def _readable(files: Iterable[tuple[str, Path]], outcome: Outcome, any_image: bool) -> Iterator[tuple[str, Radiograph]]:
    for name, path in files:
        try:
            with dicom_seg.quiet():
                xray = radiographs.read(path, any_image)
        except PneumoError as error:
            outcome.failures[str(path)] = str(error)
            continue
        if xray.header.ignored_hint:
            outcome.ignored_hints[str(path)] = xray.header.ignored_hint
        yield name, xray


def _probabilities(model: TrainedModel, images: np.ndarray, first: int) -> np.ndarray:
    """Maps of a batch whose first image has the number `first`: random transforms depend on it, not on the batch."""
    device = next(model.network.parameters()).device
    return tta.mean_of_batch(model.network, images, model.transforms, 0, first, device)


def _write_pictures(out: Path, name: str, xray: Radiograph, probability: np.ndarray, mask: np.ndarray) -> None:
    pictures = {
        "probability": np.round(probability * 65535).astype(np.uint16),
        "mask": mask.astype(np.uint8) * 255,
        "overlay": overlay(xray.image, mask),
    }
    for kind, picture in pictures.items():
        with atomic.replacing(out / kind / f"{name}.png") as temporary:
            temporary.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def _write_segmentation(out: Path, name: str, xray: Radiograph, mask: np.ndarray, outcome: Outcome) -> None:
    try:
        with atomic.replacing(out / "segmentation" / f"{name}.dcm") as temporary:
            dicom_seg.write(temporary, mask, xray.path)
    except SegmentationError as error:
        outcome.unsegmented[str(xray.path)] = str(error)


def _not_predicted(outcome: Outcome) -> pd.DataFrame:
    rows = [(path, "failed", reason) for path, reason in outcome.failures.items()]
    rows += [(path, "left out", reason) for path, reason in outcome.left_out.items()]
    table = pd.DataFrame(rows, columns=["file", "outcome", "reason"])
    return table.assign(file=table.file.map(paths.printable), reason=table.reason.map(paths.printable))


def _row(name: str, xray: Radiograph, probability: np.ndarray, mask: np.ndarray, settings: dict) -> dict:
    area = int(mask.sum())
    return {
        "name": name,
        "pneumothorax": area > 0,
        "area_px": area,
        "area_cm2": round(area * xray.header.row_spacing_mm * xray.header.column_spacing_mm / 100, 2),
        "spacing_at_detector": xray.header.spacing_at_detector,
        "frontal_chest": {True: "yes", False: "no", None: "not checked"}[xray.frontal_chest],
        "largest_probability": round(float(probability.max()), 4),
        **settings,
    }
