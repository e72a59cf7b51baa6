"""Images a second at 512x512 with flip TTA: `python benchmarks/inference.py [--images 20] [--size 512] [--device cuda]`.

Compares the network in plain PyTorch float32 with `InferenceNetwork` on the same device and the same random images, in
turns, and prints the largest difference of a probability. On a GPU also `InferenceNetwork(bfloat16=True)`.
"""

import argparse
import time
from types import SimpleNamespace

import numpy as np
import torch

from pneumo_lib.evaluation import tta
from pneumo_lib.evaluation.inference import InferenceNetwork
from pneumo_lib.model import unet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20, help="a round (default 20)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, the fastest counts (default 3)")
    parser.add_argument("--size", type=int, default=512, help="side in pixels (default 512)")
    parser.add_argument("--batch-size", type=int, default=5, help="images a forward pass (default 5)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.manual_seed(0)
    plain = unet.build(SimpleNamespace(channels=3, encoder_weights=None)).to(device)
    with torch.no_grad():
        plain.segmentation_head[0].weight.mul_(10)  # probabilities over the whole range, as of a trained network
    models = {"plain float32": plain, "fast float32": InferenceNetwork(plain)}
    if device.type == "cuda":
        models["fast bfloat16"] = InferenceNetwork(plain, bfloat16=True)
    images = np.random.default_rng(0).integers(0, 256, (arguments.images, arguments.size, arguments.size), np.uint8)

    maps, best = {}, dict.fromkeys(models, np.inf)
    for model in models.values():
        tta.predict(model, images[: arguments.batch_size], batch_size=arguments.batch_size)
    for _ in range(arguments.rounds):
        for name, model in models.items():
            begin = time.perf_counter()
            maps[name] = tta.predict(model, images, batch_size=arguments.batch_size)
            best[name] = min(best[name], time.perf_counter() - begin)
    print(
        f"{arguments.images} images of {arguments.size}x{arguments.size}, flip TTA, {device}, torch {torch.__version__}"
    )
    reference = maps["plain float32"]
    print(f"probabilities {reference.min():.2f} to {reference.max():.2f}")
    for name in models:
        print(
            f"{name:14} {arguments.images / best[name]:7.2f} images/s   {best['plain float32'] / best[name]:5.2f} x   "
            f"largest difference {np.abs(maps[name] - reference).max():.1e}"
        )


if __name__ == "__main__":
    main()
