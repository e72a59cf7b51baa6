"""Keeps the small files of reported runs: `python -m pneumo_lib.report.keep runs/phantom-demo results/phantom-demo`.

A record and its tables, and of phantoms the gallery and the explorer's data. Never weights, never X-rays of patients.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image

from pneumo_lib import atomic
from pneumo_lib.report import comparison, explorer, records
from pneumo_lib.report.experiment_pages import gallery_of

FILES = ("record.json", "per_image.csv", "history.csv")
COLOURS = 96
"""Of a kept gallery: greys and two outlines, at a third of the size."""


def keep(runs: Path, results: Path) -> list[Path]:
    """Copies what the book needs of every run below `runs` to the same place below `results`; what was written."""
    written, found = [], records.find(runs)
    for record in found:
        folder = results / record.folder.resolve().relative_to(Path(runs).resolve())
        folder.mkdir(parents=True, exist_ok=True)
        written += [Path(shutil.copy(record.folder / name, folder / name)) for name in FILES]
        picture = gallery_of(record) if record.values["synthetic"] else None
        if picture:
            with atomic.replacing(folder / "gallery.png") as temporary:
                Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS).save(temporary, optimize=True)
            written.append(folder / "gallery.png")
    bundle = explorer.of_record(comparison.best(found)) if found else None
    if bundle:
        # Beside the folder, where the book looks for it.
        explorer.write(results.parent / "explorer-data.js", bundle)
        written.append(results.parent / "explorer-data.js")
    return written


if __name__ == "__main__":
    for path in keep(Path(sys.argv[1]), Path(sys.argv[2])):
        print(f"{path} ({path.stat().st_size / 1000:.0f} kB)")
