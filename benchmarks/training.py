"""Images a second of training: `python benchmarks/training.py [--sizes 256 512] [--batch 40 14] [--device cpu]`.

Three ways, on the same device, in turns, the fastest round of each:

(a) network   the network alone: forward, loss, backward and step on one batch that never changes, in the precision of (b)
(b) pipeline  the real training, from prepared arrays, with augmentation and everything that Lightning does
(c) plain     float32 PyTorch as most public replications have it: a DataLoader that decodes DICOM files with pydicom's
              default decoder, resizes and augments them as (b) does; contiguous memory, default Adam

Each round begins with steps that do not count. (b) and (c) have as many loader processes, which keep working while steps
are timed. At the end: processor time of the augmentation, which on a CPU the loader takes from the network.

The X-rays are phantoms in DICOM files, made in a temporary folder, each used several times per epoch. Ratios say more than
speeds where a machine is shared. On two cores without a GPU it takes about seven minutes.
"""

import argparse
import itertools
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pydicom
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler

from pneumo_lib import experiments, hardware, phantom
from pneumo_lib.data import augmentation, preprocessing, rle, siim
from pneumo_lib.data.batches import TrainingImages, training_loader
from pneumo_lib.data.dataset import Subset
from pneumo_lib.model import unet
from pneumo_lib.model.losses import BCEDiceLoss
from pneumo_lib.training.module import SegmentationModule
from pneumo_lib.training.trainer import TrainerSetup

EXPERIMENT = replace(experiments.get("exp4"), encoder_weights=None)
# A GPU's queue of ready batches, up to 64, has to be used up before the loader's own speed shows.
UNCOUNTED, COUNTED = {"cpu": 1, "cuda": 80}, {"cpu": 2, "cuda": 200}
# An epoch is left in its middle, where loaders still have work to do.
EPOCH = 2


class DicomFiles(Dataset):
    """Decoded, resized and augmented anew each time: float32 (3, H, W) and (1, H, W)."""

    def __init__(self, index, size: int):
        self.index, self.size, self.augment = index, size, augmentation.training(size)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = pydicom.dcmread(self.index.path.iloc[row]).pixel_array
        mask = rle.decode(self.index.rle.iloc[row]).astype(np.uint8)
        image, mask = (cv2.resize(array, (self.size, self.size)) for array in (image, mask))
        out = self.augment(image=image, mask=mask)
        return torch.from_numpy(out["image"] / np.float32(255)).expand(3, -1, -1), torch.from_numpy(out["mask"])[
            None
        ].float()


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def machine_of(device: str) -> TrainerSetup:
    return replace(TrainerSetup.here(), device=device, precision=hardware.choose_precision("auto", device))


def network_alone(size: int, batch: int, device: str) -> float:
    """(a), images per second."""
    model = unet.build(EXPERIMENT).to(device, memory_format=torch.channels_last).train()
    machine = machine_of(device)
    if machine.compiles(sys.maxsize):
        model.compile()
    module = SegmentationModule(model, EXPERIMENT).to(device)
    optimizer = module.configure_optimizers()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 1, size, size), dtype=torch.uint8, generator=generator).to(device)
    masks = (images > 250).to(torch.uint8)
    for step in range(UNCOUNTED[device] + COUNTED[device]):
        if step == UNCOUNTED[device]:
            synchronise(device)
            began = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=machine.precision == hardware.MIXED):
            loss = module.loss(model(module.input_of(images)), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    synchronise(device)
    return COUNTED[device] * batch / (time.perf_counter() - began)


class Timed(SegmentationModule):
    """Measures the batches that count of one epoch, and has no validation at its end."""

    def on_train_batch_end(self, outputs, batch, batch_idx) -> None:
        device, step = self.device.type, batch_idx + 1
        if step == UNCOUNTED[device]:
            synchronise(device)
            self.began = time.perf_counter()
        elif step == UNCOUNTED[device] + COUNTED[device]:
            synchronise(device)
            self.speed = COUNTED[device] * len(batch[0]) / (time.perf_counter() - self.began)
            self.trainer.should_stop = True

    def on_train_epoch_end(self) -> None:
        pass


def pipeline(part: Subset, batch: int, device: str) -> float:
    """(b), images per second."""
    machine = machine_of(device)
    model = unet.build(EXPERIMENT).to(memory_format=torch.channels_last)
    if machine.compiles(sys.maxsize):
        model.compile()
    module = Timed(model, EXPERIMENT)
    loader = training_loader(part, batch, seed=0, stage=1, workers=machine.workers)
    # Its checkpoint is part of an epoch's end, which is not measured.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        machine.trainer(1, [], folder).fit(module, loader)
    # The trainer's choice, for the whole process; the other ways do without.
    torch.use_deterministic_algorithms(False)
    return module.speed


def plain(index, size: int, batch: int, device: str, workers: int) -> float:
    """(c), images per second."""
    model, loss_of = unet.build(EXPERIMENT).to(device).train(), BCEDiceLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=EXPERIMENT.learning_rate)
    data, last = DicomFiles(index, size), UNCOUNTED[device] + COUNTED[device]
    order = RandomSampler(data, replacement=True, num_samples=EPOCH * batch * last)
    files = DataLoader(data, batch, sampler=order, num_workers=workers)
    for step, (images, masks) in enumerate(itertools.islice(files, last), 1):
        loss = loss_of(model(images.to(device)), masks.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        if step == UNCOUNTED[device]:
            began = time.perf_counter()
    synchronise(device)
    return COUNTED[device] * batch / (time.perf_counter() - began)


def loading(part: Subset) -> float:
    """Milliseconds of processor time that an augmented image takes."""
    images = TrainingImages(part, seed=0, stage=1, strength=EXPERIMENT.augmentation_strength)
    began = time.process_time()
    for epoch, position in itertools.product(range(100), range(2)):
        images[(epoch, position)]
    return (time.process_time() - began) / 200 * 1000


def measure(index, folder: Path, size: int, batch: int, device: str, rounds: int) -> dict[str, float]:
    arrays = preprocessing.prepare(index, folder / str(size), size)
    epoch = EPOCH * batch * (UNCOUNTED[device] + COUNTED[device])
    part = Subset(arrays.images, arrays.masks, arrays.index, np.resize(np.arange(len(arrays.images)), epoch))
    ways = {
        "network": lambda: network_alone(size, batch, device),
        "pipeline": lambda: pipeline(part, batch, device),
        "plain": lambda: plain(index, size, batch, device, machine_of(device).workers),
    }
    best = dict.fromkeys(ways, 0.0)
    for _ in range(rounds):
        for name, way in ways.items():
            best[name] = max(best[name], way())
    return best | {"loading": loading(part)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512], help="sides in pixels (default: 256 512)")
    parser.add_argument(
        "--batch", type=int, nargs="+", default=[40, 14], help="images per step, by size (default: 40 14)"
    )
    parser.add_argument("--images", type=int, default=40, help="different X-rays (default: 40)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    print(f"{machine_of(options.device).title}, torch {torch.__version__}, {options.images} X-rays\n")
    columns = (
        "device | pixels | batch | (a) network | (b) pipeline | (c) plain | b/a | b/c | augmentation, CPU ms per image"
    )
    print(f"{columns}\n{'--|' * columns.count('|')}--")
    with tempfile.TemporaryDirectory() as folder:
        phantom.write_dataset(Path(folder) / "phantom", n_images=options.images, seed=0)
        index = siim.load_index(Path(folder) / "phantom")
        for size, batch in zip(options.sizes, options.batch, strict=True):
            a, b, c, ms = measure(index, Path(folder), size, batch, options.device, options.rounds).values()
            speeds = f"{a:.2f} | {b:.2f} | {c:.2f} | {b / a:.3f} | {b / c:.2f} | {ms:.1f}"
            print(f"{options.device} | {size} | {batch} | {speeds}", flush=True)
    if options.device != "cuda":
        print(
            "\n".join(
                f"cuda | {size} | {batch} | not run" for size, batch in zip(options.sizes, options.batch, strict=True)
            )
        )


if __name__ == "__main__":
    main()
