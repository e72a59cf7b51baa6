"""A phantom data set on disk, in the challenge's stage-1 layout, each image a DICOM file with the header of its files."""

import hashlib
import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEGBaseline8Bit, SecondaryCaptureImageStorage
from tqdm import tqdm

from pneumo_lib import atomic
from pneumo_lib.data import rle
from pneumo_lib.errors import PhantomError
from pneumo_lib.hardware import usable_cores
from pneumo_lib.phantom.drawing import compose, draw

JPEG_QUALITY = 92
"""Gives files of about the real ones' size (110-175 kB)."""


def uid(*key) -> str:
    """A valid UID (root 2.25, from 128 hashed bits), a pure function of its key."""
    digest = hashlib.sha256("/".join(map(str, ("pneumo_lib phantom", *key))).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def pseudonym(*key) -> str:
    """A UUID-shaped pseudonym, a pure function of its key."""
    digest = hashlib.sha256("/".join(map(str, ("pneumo_lib pseudonym", *key))).encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], "4" + digest[13:16], "a" + digest[17:20], digest[20:32]))


def uids(seed: int, index: int) -> tuple[str, str, str]:
    """Study, series and SOP instance UID of one image."""
    return uid(seed, index, "study"), uid(seed, index, "series"), uid(seed, index, "sop")


def write_dicom(path: Path, phantom, seed: int) -> None:
    """Write a phantom (see `draw`) to `path`; the file appears whole or not at all.

    As in the real files PatientID is a pseudonym that differs from image to image. What says that the file is synthetic:
    PatientName, ImageComments, Manufacturer and SeriesDescription.
    """
    study, series, sop = uids(seed, phantom.index)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = UID(sop)
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SpecificCharacterSet = "ISO_IR 100"
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, sop
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.StudyDate, data.StudyTime, data.AccessionNumber = "19010101", "000000.00", ""
    data.Modality, data.ConversionType, data.BodyPartExamined = "CR", "WSD", "CHEST"
    data.Manufacturer = "pneumo_lib synthetic phantom"
    data.ReferringPhysicianName, data.PatientBirthDate = "", ""
    data.SeriesDescription = f"view: {phantom.view} (synthetic)"
    data.PatientName, data.PatientID = "PHANTOM^SYNTHETIC", pseudonym(seed, phantom.index)
    data.PatientSex, data.PatientAge = phantom.sex, f"{phantom.age_years:03d}Y"
    data.ViewPosition, data.PatientOrientation = phantom.view, ""
    data.ImageComments = "Synthetic phantom drawn by pneumo_lib: no patient, not for clinical use"
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "", "1", "1"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = phantom.image.shape
    data.PixelSpacing = [f"{phantom.pixel_mm:.4f}"] * 2
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.LossyImageCompression, data.LossyImageCompressionMethod = "01", "ISO_10918_1"
    data.PixelData = encapsulate([_jpeg(phantom.image)])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    with atomic.replacing(path) as temporary:
        data.save_as(temporary, enforce_file_format=True)


def _jpeg(image: np.ndarray) -> bytes:
    done, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError("OpenCV could not encode the phantom as JPEG; this OpenCV build lacks JPEG support.")
    data = code.tobytes()
    # An encapsulated frame has an even length.
    return data + b"\0" * (len(data) % 2)


VERSION = 3
"""Version of the generator; raised whenever the same seed gives other pixels."""

CHUNK = 16
"""Images per task of a worker process."""


def write_dataset(
    root: Path | str,
    n_images: int = 300,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
    quirks: bool = False,
) -> Path:
    """Write phantoms as DICOM files with their table, as the challenge's stage 1 had them.

    Args:
        root: folder to write to; made if missing.
        n_images: how many; round(0.2215 x n_images) of them are positive.
        seed: other seeds give other patients. The first images of a larger set are those of a smaller one.
        workers: processes; None takes one per CPU core, 1 stays in this process. The files do not depend on it. A script
            that calls this with several workers needs the usual `if __name__ == "__main__":` guard.
        progress: show a progress bar.
        quirks: write the table as untidy as real ones are: a byte-order mark, mixed line ends, several rows for one
            image, repeated rows, one file without a row, and a `__MACOSX/._*.dcm` leftover.

    Returns:
        `root`, which holds

        - `dicom-images-train/<study>/<series>/<sop>.dcm`,
        - `train-rle.csv` with the columns `ImageId` and ` EncodedPixels` (-1 where there is no pneumothorax),
        - `patients.csv` with `Kaggle_ID` and `NIH_ID` (`<patient>_<follow-up>.png`), as the public map of the real set,
        - `dataset.json`, written last: the set is complete. A second call then returns at once; an interrupted call resumes
          where it stopped.

    Raises:
        PhantomError: `n_images`, `seed` or `workers` out of range, or `root` holds something else or another phantom set.
        WriteError: no room, or `root` cannot be written to.
    """
    root = Path(root)
    wanted = _wanted(n_images, seed, quirks)
    if workers is not None and workers < 1:
        raise PhantomError(f"workers is {workers}; use 1 or more, or None for one per CPU core.")
    if _claim(root, wanted):
        return root
    rows = _draw_all(root, n_images, seed, workers, progress)
    _write_text(root / "patients.csv", "Kaggle_ID,NIH_ID\n" + "".join(f"{row[0]},{row[2]}\n" for row in rows))
    _write_text(root / "train-rle.csv", _table(rows, quirks))
    if quirks:
        _write_text(root / "__MACOSX" / "dicom-images-train" / f"._{rows[0][0]}.dcm", "\0\5\26\7 not a DICOM file")
    (root / "dataset.partial.json").replace(root / "dataset.json")
    return root


def _wanted(n_images: int, seed: int, quirks: bool) -> dict:
    for name, value, least in (("n_images", n_images, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise PhantomError(f"{name} is {value!r}; use a whole number of at least {least}.")
    return {
        "what": "synthetic chest X-rays (phantoms) drawn by pneumo_lib; no patient data; not for clinical use",
        "n_images": int(n_images),
        "seed": int(seed),
        "quirks": bool(quirks),
        "generator_version": VERSION,
    }


def _claim(root: Path, wanted: dict) -> bool:
    """Whether the set is complete; marks the folder as being written otherwise."""
    for name in ("dataset.json", "dataset.partial.json"):
        path = root / name
        if path.exists():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                found = None
            if isinstance(found, dict) and {**found, "generator_version": VERSION} == wanted != found:
                raise PhantomError(
                    f"{root} was drawn by generator version {found.get('generator_version')}, and this is version "
                    f"{VERSION}, whose images differ; delete that folder to have it drawn anew, or choose another one."
                )
            if found != wanted:
                raise PhantomError(
                    f"{path} describes another data set than n_images={wanted['n_images']}, seed={wanted['seed']}, "
                    f"quirks={wanted['quirks']}, generator version {VERSION}; choose another folder or delete this one."
                )
            return name == "dataset.json"
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise PhantomError(f"{root} exists but is not a phantom data set; choose an empty folder.")
    _write_text(root / "dataset.partial.json", json.dumps(wanted, indent=2) + "\n")
    return False


def _draw_all(root: Path, n_images: int, seed: int, workers: int | None, progress: bool) -> list[tuple[str, str, str]]:
    chunks = [range(start, min(start + CHUNK, n_images)) for start in range(0, n_images, CHUNK)]
    workers = min(workers or usable_cores(), len(chunks))
    rows: dict[int, tuple[str, str, str]] = {}
    with tqdm(total=n_images, desc="phantoms", unit="image", disable=not progress) as bar:
        for chunk, done in _results(root, chunks, seed, workers):
            rows.update(zip(chunk, done, strict=True))
            bar.update(len(chunk))
    return [rows[index] for index in range(n_images)]


def _results(root: Path, chunks: list[range], seed: int, workers: int):
    if workers == 1:
        for chunk in chunks:
            yield chunk, _draw_chunk(root, chunk, seed)
        return
    # Fresh processes: a fork of a process with running threads (PyTorch's, a notebook's) can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        tasks = {pool.submit(_draw_chunk, root, chunk, seed): chunk for chunk in chunks}
        try:
            for task in as_completed(tasks):
                yield tasks[task], task.result()
        finally:
            # Interrupted, do not draw the rest before stopping.
            pool.shutdown(wait=False, cancel_futures=True)


def _draw_chunk(root: Path, indices: range, seed: int) -> list[tuple[str, str, str]]:
    """Write a few images; returns their SOP UID, RLE and NIH-like name."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return [_write_one(root, index, seed) for index in indices]
    finally:
        cv2.setNumThreads(threads)


def _write_one(root: Path, index: int, seed: int) -> tuple[str, str, str]:
    study, series, sop = uids(seed, index)
    path = root / "dicom-images-train" / study / series / f"{sop}.dcm"
    scene = compose(index, seed)
    if not path.exists():
        write_dicom(path, draw(index, seed), seed)
    return sop, rle.encode(scene.mask()), f"{scene.case.patient:08d}_{scene.case.follow_up:03d}.png"


def _table(rows: list[tuple[str, str, str]], quirks: bool) -> str:
    lines = [f"{sop}, {code}" for sop, code, _ in rows]
    if not quirks:
        return "ImageId, EncodedPixels\n" + "".join(line + "\n" for line in lines)
    untidy = []
    for k, (sop, code, _) in enumerate(rows[:-1]):
        untidy += [f"{sop}, {part}" for part in _split(code)]
        if k % 7 == 0:
            untidy.append(untidy[-1])
    ends = ("\r\n", "\n")
    return "\ufeffImageId, EncodedPixels\r\n" + "".join(line + ends[k % 3 == 0] for k, line in enumerate(untidy))


def _split(code: str) -> list[str]:
    """The encoding in two rows whose union is the mask; unchanged if it is too short."""
    numbers = code.split()
    if len(numbers) < 8:
        return [code]
    half = len(numbers) // 4 * 2
    skipped = sum(map(int, numbers[:half]))
    second = [str(skipped + int(numbers[half])), *numbers[half + 1 :]]
    return [" ".join(numbers[:half]), " ".join(second)]


def _write_text(path: Path, text: str) -> None:
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(text.encode())
