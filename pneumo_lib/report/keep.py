"""Keeps the small files of reported runs: `python -m pneumo_lib.report.keep runs/phantom-demo results/phantom-demo`.

A record and its tables, and of phantoms the gallery and the explorer's data. Never weights, never X-rays of patients: of
them numbers stay, without the ids of images and patients.
"""

import shutil
import sys
from pathlib import Path

import pandas as pd

from pneumo_lib import atomic
from pneumo_lib.report import explorer, records, verdict
from pneumo_lib.report.experiment_pages import gallery_of

FILES = ("record.json", "per_image.csv", "history.csv")


def keep(runs: Path, results: Path) -> list[Path]:
    """Copies what the book needs of every run below `runs` to the same place below `results`; what was written."""
    written, found = [], records.find(runs)
    for record in found:
        folder = results / record.folder.resolve().relative_to(Path(runs).resolve())
        folder.mkdir(parents=True, exist_ok=True)
        written += [Path(shutil.copy(record.folder / name, folder / name)) for name in FILES]
        if not record.values["synthetic"]:
            atomic.write_csv(folder / "per_image.csv", without_ids(record.per_image))
        elif picture := gallery_of(record):
            with atomic.replacing(folder / "gallery.png") as temporary:
                temporary.write_bytes(picture)
            written.append(folder / "gallery.png")
    found = [record for record in found if record.values["synthetic"]]
    bundle = explorer.of_record(verdict.best(found)) if found else None
    if bundle:
        # Beside the folder, where the book looks for it.
        explorer.write(results.parent / "explorer-data.js", bundle)
        written.append(results.parent / "explorer-data.js")
    return written


def without_ids(per_image: pd.DataFrame) -> pd.DataFrame:
    """Numbers in place of the ids: images counted from 1, and which of them are of one patient where that is known.

    What the files say of each patient goes too; the record has it by groups.
    """
    patients = pd.Series(pd.factorize(per_image["patient_id"])[0] + 1, index=per_image.index)
    per_image = per_image.drop(columns=["view", "sex", "age_band"], errors="ignore")
    return per_image.assign(image_id=range(1, len(per_image) + 1), patient_id=patients.where(patients > 0))


if __name__ == "__main__":
    for path in keep(Path(sys.argv[1]), Path(sys.argv[2])):
        print(f"{path} ({path.stat().st_size / 1000:.0f} kB)")
