"""How fast X-rays are read, decoded and prepared: `python benchmarks/reading.py FOLDER [--images 400]`.

FOLDER is any copy of SIIM-ACR or a phantom. All figures come from one run on the same, already cached files; the ratios say
more than the times where a machine is shared.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom

from pneumo_lib import hardware
from pneumo_lib.data import preprocessing, radiographs, rle, siim

CHALLENGE = 12_047


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def each(work: Callable[[object], object], items: Iterable) -> Callable[[], None]:
    """Work on all items that keeps no result, so that the peak of memory is the library's own."""

    def loop() -> None:
        for item in items:
            work(item)

    return loop


def best_of(work: Callable[[], object], times: int = 3) -> float:
    return min(seconds(work) for _ in range(times))


def reading(paths: list[str]) -> None:
    few = paths[:60]
    for path in paths:
        Path(path).read_bytes()  # so that the disk counts for nobody
    default = best_of(each(lambda path: pydicom.dcmread(path).pixel_array, few)) / len(few)
    ours = best_of(each(radiographs.read_image, few)) / len(few)
    print(
        f"read one file: pydicom's default {default * 1e3:.1f} ms, read_image {ours * 1e3:.1f} ms: x {default / ours:.1f}"
    )


def masks(index: pd.DataFrame) -> None:
    labelled = index[index.labelled]
    took = best_of(each(rle.decode, labelled.rle)) / len(labelled)
    share = labelled.positive.mean()
    print(f"decode {CHALLENGE:,} masks: {took * CHALLENGE:.1f} s (at {share:.0%} positive)")


def preparing(index: pd.DataFrame) -> None:
    workers = hardware.usable_cores()
    with ThreadPoolExecutor(workers) as pool:
        bare = len(index) / best_of(
            lambda: sum(pool.map(lambda path: radiographs.read_image(path).size, index.path)), 2
        )
    print(f"bare decoder on {workers} cores: {bare:.0f} images/s")
    for sizes in ([512], [256, 512]):
        with tempfile.TemporaryDirectory() as folder:
            folders = {size: Path(folder, str(size)) for size in sizes}
            rate = len(index) / seconds(
                lambda folders=folders: preprocessing.prepare_sizes(index, folders, progress=False)
            )
            again = seconds(lambda folders=folders: preprocessing.prepare_sizes(index, folders, progress=False))
        named = " and ".join(map(str, sizes))
        print(f"prepare at {named} px: {rate:.0f} images/s, {rate / bare:.2f} of the bare decoder, again {again:.2f} s")


def augmenting() -> None:
    from pneumo_lib.data import augmentation  # brings PyTorch along, which is not to count for preparing

    for size in (64, 128, 256, 512):
        transform, image = augmentation.training(size), np.zeros((size, size), np.uint8)
        reseed = best_of(each(transform.set_random_seed, range(200))) / 200

        def epoch(transform=transform, image=image):
            for seed in range(100):
                transform.set_random_seed(seed)
                transform(image=image, mask=image)

        print(f"augment at {size} px: {best_of(epoch) * 10:.2f} ms per image, of it reseeding {reseed * 1e3:.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=400)
    arguments = parser.parse_args()
    print(f"{hardware.usable_cores()} cores, load {os.getloadavg()[0]:.1f}")
    took = seconds(lambda: siim.load_index(arguments.folder))
    index = siim.load_index(arguments.folder)
    print(f"index of {len(index)} images: {took:.2f} s, {took / len(index) * 1e3:.2f} ms per image")
    index = index.head(arguments.images)
    reading(index.path.tolist())
    masks(index)
    preparing(index)
    print(f"peak memory up to here {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB (on Linux)")
    augmenting()


if __name__ == "__main__":
    main()
