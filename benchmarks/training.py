"""Images a second of training: `python benchmarks/training.py [--sizes 256 512] [--batch 40 14] [--images 80] [--device cpu]`.

Three ways, on the same device, in turns, the fastest round of each:

(a) network   the network alone: forward, loss, backward and step on one batch that never changes
(b) pipeline  the real training, from prepared arrays, with augmentation and everything that Lightning does
(c) plain     float32 PyTorch as most public replications have it: a DataLoader that decodes DICOM files with pydicom's
              default decoder, resizes and augments them as (b) does; contiguous memory, default Adam

The X-rays are phantoms in DICOM files, made in a temporary folder. Ratios say more than speeds where a machine is shared.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pydicom
import torch
from torch.utils.data import DataLoader, Dataset

from pneumo_lib import experiments
from pneumo_lib.data import augmentation, phantom, prepared, rle, siim
from pneumo_lib.data.batches import training_loader
from pneumo_lib.data.source import Part
from pneumo_lib.model import unet
from pneumo_lib.model.losses import BCEDiceLoss
from pneumo_lib.training.loop import Segmentation
from pneumo_lib.training.machine import Machine

EXPERIMENT = replace(experiments.get("exp4"), encoder_weights=None)


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


def network_alone(size: int, batch: int, steps: int, device: str) -> float:
    """(a), images a second, after two steps that do not count."""
    model = unet.build(EXPERIMENT).to(device, memory_format=torch.channels_last).train()
    machine = Machine(device)
    if machine.compiles(sys.maxsize):
        model.compile()
    module = Segmentation(model, EXPERIMENT).to(device)
    optimizer = module.configure_optimizers()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 1, size, size), dtype=torch.uint8, generator=generator).to(device)
    masks = (images > 250).to(torch.uint8)
    for step in range(steps + 2):
        if step == 2:
            synchronise(device)
            began = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = module.loss(model(module.input_of(images)), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    synchronise(device)
    return steps * batch / (time.perf_counter() - began)


class Timed(Segmentation):
    """Measures an epoch but for its first two batches, and has no validation at its end."""

    def on_train_batch_end(self, outputs, batch, batch_idx) -> None:
        if batch_idx == 1:
            synchronise(self.device.type)
            self.began, self.seen = time.perf_counter(), 0
        elif batch_idx > 1:
            self.seen += len(batch[0])

    def on_train_epoch_end(self) -> None:
        synchronise(self.device.type)
        self.speed = self.seen / (time.perf_counter() - self.began)


def pipeline(part: Part, batch: int, device: str) -> float:
    """(b), images a second."""
    machine = replace(Machine.here(), device=device)
    model = unet.build(EXPERIMENT).to(memory_format=torch.channels_last)
    if machine.compiles(sys.maxsize):
        model.compile()
    module = Timed(model, EXPERIMENT)
    loader = training_loader(part, batch, seed=0, stage=1, workers=machine.workers)
    with tempfile.TemporaryDirectory() as folder:
        # Its checkpoint is part of an epoch's end, which is not measured.
        machine.trainer(1, [], folder).fit(module, loader)
    return module.speed


def plain(index, size: int, batch: int, device: str, workers: int) -> float:
    """(c), images a second of one epoch but for its first two batches."""
    model, loss_of = unet.build(EXPERIMENT).to(device).train(), BCEDiceLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=EXPERIMENT.learning_rate)
    seen = 0
    files = DataLoader(DicomFiles(index, size), batch, shuffle=True, num_workers=workers, drop_last=True)
    for step, (images, masks) in enumerate(files):
        loss = loss_of(model(images.to(device)), masks.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        if step == 1:
            began = time.perf_counter()
        seen += batch if step > 1 else 0
    synchronise(device)
    return seen / (time.perf_counter() - began)


def measure(index, folder: Path, size: int, batch: int, device: str, rounds: int) -> dict[str, float]:
    arrays = prepared.prepare(index, folder / str(size), size)
    part = Part(arrays.images, arrays.masks, arrays.index, np.arange(len(arrays.images)))
    steps, workers = max(2, len(index) // batch - 2), Machine.here().workers
    ways = {
        "network": lambda: network_alone(size, batch, steps, device),
        "pipeline": lambda: pipeline(part, batch, device),
        "plain": lambda: plain(index, size, batch, device, workers),
    }
    best = dict.fromkeys(ways, 0.0)
    for _ in range(rounds):
        for name, way in ways.items():
            best[name] = max(best[name], way())
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512], help="sides in pixels (default: 256 512)")
    parser.add_argument(
        "--batch", type=int, nargs="+", default=[40, 14], help="images a step, by size (default: 40 14)"
    )
    parser.add_argument("--images", type=int, default=200, help="X-rays an epoch, 4 batches or more (default: 200)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}, torch {torch.__version__}, {options.images} X-rays\n")
    print("device | pixels | batch | (a) network | (b) pipeline | (c) plain | b/a | b/c\n--|--|--|--|--|--|--|--")
    with tempfile.TemporaryDirectory() as folder:
        phantom.write_dataset(Path(folder) / "phantom", n_images=options.images, seed=0)
        index = siim.load_index(Path(folder) / "phantom")
        for size, batch in zip(options.sizes, options.batch, strict=True):
            a, b, c = measure(index, Path(folder), size, batch, options.device, options.rounds).values()
            print(
                f"{options.device} | {size} | {batch} | {a:.2f} | {b:.2f} | {c:.2f} | {b / a:.2f} | {b / c:.2f}",
                flush=True,
            )
    if options.device != "cuda":
        print(
            "\n".join(
                f"cuda | {size} | {batch} | not run" for size, batch in zip(options.sizes, options.batch, strict=True)
            )
        )


if __name__ == "__main__":
    main()
