"""Milliseconds an image and core for drawing and for writing phantoms: `python benchmarks/phantom.py [images]`."""

import sys
import tempfile
import time
from pathlib import Path

import cv2

from pneumo_lib import phantom
from pneumo_lib.phantom import writer


def main(n_images: int = 100) -> None:
    cv2.setNumThreads(1)
    # Compiling (once per machine) and the noise field (once per process) are no part of an image.
    phantom.draw(0)
    with tempfile.TemporaryDirectory() as folder:
        spent = {"draw": 0.0, "write": 0.0}
        wall = time.perf_counter()
        for index in range(n_images):
            start = time.process_time()
            one = phantom.draw(index)
            drawn = time.process_time()
            writer.write_dicom(Path(folder) / f"{index}.dcm", one, seed=0)
            spent["draw"] += drawn - start
            spent["write"] += time.process_time() - drawn
        wall = time.perf_counter() - wall
    for what, seconds in spent.items():
        print(f"{what:6s} {1000 * seconds / n_images:6.1f} ms CPU an image")
    print(
        f"total  {1000 * sum(spent.values()) / n_images:6.1f} ms CPU, {1000 * wall / n_images:.1f} ms wall, an image and core"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
