"""Drawn figures of the method: run-length encoding, loss, stages, weight averaging, and the network from a forward pass."""

import numpy as np
import seaborn as sns
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch.nn import functional

from pneumo_book.published_figures import BLANK, DECK, PAPER
from pneumo_lib import experiments
from pneumo_lib.data import rle as codec
from pneumo_lib.model import unet
from pneumo_lib.model.losses import soft_dice_loss
from pneumo_lib.report.style import COLUMN, panels, subplots

EXAMPLE = np.zeros((8, 8), bool)
"""The mask of the example of run-length encoding: three runs."""
EXAMPLE[2:5, 2] = EXAMPLE[1:6, 3] = EXAMPLE[5:8, 5] = True


def rle() -> Figure:
    """The example mask with its pixels numbered as the encoding counts them, and its encoding."""
    figure, axis = subplots(figsize=(5.2, 5.4))
    for row, column in np.ndindex(EXAMPLE.shape):
        on = EXAMPLE[row, column]
        axis.add_patch(Rectangle((column, row), 1, 1, facecolor=PAPER if on else "white", edgecolor="0.6"))
        axis.text(column + 0.5, row + 0.5, column * 8 + row, ha="center", va="center", color="white" if on else "0.35")
    for column in range(3):
        axis.annotate("", (column + 0.85, 7.9), (column + 0.85, 0.1), arrowprops={"arrowstyle": "->", "color": DECK})
    axis.set(xlim=(0, 8), ylim=(8, 0), aspect="equal", xticks=[], yticks=[])
    axis.set_title("pixels are counted down the columns", fontsize=11)
    axis.set_xlabel(f"encoding: {codec.encode(EXAMPLE)}", fontsize=12)
    return figure


def loss(*, stacked: bool = False) -> Figure:
    """BCE and Dice loss, and their gradients, as the probability of every true (or, on an empty mask, every) pixel changes."""
    figure, axes = panels(3, (12, 3.4), stacked=stacked)
    probability = np.linspace(0.01, 0.99, 99)
    cases = {"mask of 1 % of the pixels": 0.01, "mask of 10 %": 0.10, "empty mask": 0.0}
    for axis, (title, share) in zip(axes, cases.items(), strict=True):
        curves = np.array([_pull(float(p), share) for p in probability])
        for values, name, colour, style in zip(curves.T, ("BCE", "Dice"), (PAPER, DECK), ("-", "--"), strict=True):
            axis.plot(probability, values, style, color=colour, label=name)
        what = "probability of every pixel" if share == 0 else "probability of the true pixels"
        axis.set(title=title, xlabel=what, yscale="log", ylim=(1e-6, 2))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("size of the gradient, summed")
    axes[0].legend(frameon=False)
    sns.despine(figure)
    return figure


def _pull(probability: float, share: float, pixels: int = 10_000) -> tuple[float, float]:
    """Size of the gradient of BCE and of Dice loss with respect to the logits of the pixels in question."""
    true = round(share * pixels)
    target = (torch.arange(pixels) < true).float().reshape(1, 1, 100, 100)
    start = torch.where(target > 0, probability, 0.01 if share else probability)
    pulls = []
    for function in (functional.binary_cross_entropy_with_logits, soft_dice_loss):
        logits = torch.logit(start).requires_grad_()
        function(logits, target).backward()
        chosen = logits.grad[target > 0] if true else logits.grad
        pulls.append(float(chosen.sum().abs()))
    return tuple(pulls)


def stages() -> Figure:
    """Epochs and image size of each pipeline's stages, at the paper's scale."""
    figure, axis = subplots(figsize=(COLUMN, 2.9))
    names = list(experiments.EXPERIMENTS)
    for row, name in enumerate(names):
        start, experiment = 0, experiments.get(name)
        for number, (stage, colour) in enumerate(zip(experiment.stages, (PAPER, DECK), strict=False), 1):
            taken = number == 1 and experiment.starts_from
            axis.barh(
                row, stage.epochs, left=start, color=colour, alpha=0.35 if taken else 1, edgecolor="white", height=0.7
            )
            text = f"{stage.image_size}" + (f" ({experiment.starts_from}'s)" if taken else "")
            axis.text(
                start + stage.epochs / 2,
                row,
                text,
                ha="center",
                va="center",
                fontsize=8,
                color="black" if taken else "white",
            )
            start += stage.epochs
    axis.set(
        yticks=range(len(names)),
        yticklabels=names,
        xlabel="epochs at the paper's scale; numbers in the bars: image size in pixels",
    )
    axis.invert_yaxis()
    sns.despine(figure)
    return figure


def averaging() -> Figure:
    """Why averaging helps: noisy steps around a minimum, and their mean (a sketch with two weights)."""
    random = np.random.default_rng(3)
    steepness, weights = np.array([1.0, 8.0]), np.array([-2.6, 0.9])
    path = [weights]
    for _ in range(60):
        weights = weights - 0.16 * (steepness * weights + random.normal(0, [1.6, 4.0]))
        path.append(weights)
    path = np.array(path)
    figure, axis = subplots(figsize=(7, 3.6))
    x, y = np.meshgrid(np.linspace(-3, 2, 200), np.linspace(-1.8, 1.8, 200))
    axis.contour(x, y, (x**2 + 8 * y**2) / 2, levels=np.geomspace(0.1, 14, 9), colors="0.8", linewidths=0.8)
    axis.plot(*path.T, "-", color=BLANK, linewidth=0.7)
    axis.plot(*path[-15:].T, "o", color=PAPER, markersize=5, label="weights after each of the last epochs")
    axis.plot(*path[-15:].mean(axis=0), "*", color=DECK, markersize=18, label="their mean")
    axis.plot(0, 0, "+", color="black", markersize=12, label="minimum of the loss")
    axis.set(xlabel="one weight", ylabel="another weight", xticks=[], yticks=[])
    figure.legend(frameon=False, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def shapes(size: int = 256) -> dict[str, list[tuple[int, int]]]:
    """(channels, pixels a side) of the input, after each encoder and decoder block, and of the output."""
    model = unet.build(experiments.get("exp4", "demo"), pretrained=False).eval()
    found: dict[str, list[tuple[int, int]]] = {"encoder": [], "decoder": [], "output": []}
    hooks = [
        block.register_forward_hook(lambda module, inputs, output: found["decoder"].append(tuple(output.shape[1:3])))
        for block in model.decoder.blocks
    ]
    image = torch.zeros(1, 3, size, size)
    with torch.inference_mode():
        found["encoder"] = [tuple(one.shape[1:3]) for one in model.encoder(image)]
        found["output"] = [tuple(model(image).shape[1:3])]
    for hook in hooks:
        hook.remove()
    return found


def network(size: int = 256) -> Figure:
    """The U: encoder down on the left, decoder up on the right, skip connections across."""
    found = shapes(size)
    encoder, depth = found["encoder"], len(found["encoder"]) - 1
    figure, axis = subplots(figsize=(COLUMN, 6.2))
    left = [(level * 0.45, level) for level in range(depth + 1)]
    right = [(7.3 - level * 0.45, level) for level in range(depth - 1, -1, -1)]
    names = ["input", "first convolution", *(f"residual blocks {n}" for n in range(1, depth))]
    for (x, level), shape, name in zip(left, encoder, names, strict=True):
        _block(axis, x, level, shape, PAPER, name)
    for (x, level), shape in zip(right, found["decoder"], strict=True):
        _block(axis, x, level, shape, DECK, "decoder block")
    for (x, level), (to, _) in zip(left[1:-1], reversed(right[:-1]), strict=True):
        _arrow(axis, (x + _WIDTH + 0.05, level + 0.32), (to - 0.05, level + 0.32), color="0.4", linestyle="--")
    for (x, level), (below, _) in zip(left, left[1:], strict=False):
        _arrow(axis, (x + 0.6, level + 0.66), (below + 0.15, level + 0.99), color=PAPER)
    _arrow(axis, (left[-1][0] + _WIDTH, depth + 0.25), (right[0][0] + 0.4, depth - 0.34), color=DECK)
    for (x, level), (above, _) in zip(right, right[1:], strict=False):
        _arrow(axis, (x + _WIDTH - 0.6, level - 0.02), (above + _WIDTH - 1.05, level - 0.33), color=DECK)
    channels, pixels = found["output"][0]
    axis.text(right[-1][0] + _WIDTH, -0.2, f"3x3 convolution → {channels} x {pixels}²: logits", ha="right")
    axis.text((left[1][0] + right[-2][0] + _WIDTH) / 2, 1.22, "skip connections", ha="center", color="0.35")
    axis.text(0, depth + 0.5, "each arrow down:\nhalf the side", color=PAPER)
    axis.text(right[-1][0] + _WIDTH, depth + 0.5, "each arrow up:\ntwice the side", color=DECK, ha="right")
    axis.set(xlim=(-0.1, right[-1][0] + _WIDTH + 0.1), ylim=(depth + 0.7, -0.6))
    axis.set_axis_off()
    return figure


_WIDTH = 2.3
"""Width of a box, wide enough for its longest name."""


def _arrow(axis, start: tuple[float, float], end: tuple[float, float], **style) -> None:
    axis.annotate("", end, start, arrowprops={"arrowstyle": "->"} | style)


def _block(axis, x: float, level: int, shape: tuple[int, int], colour: str, name: str) -> None:
    axis.add_patch(Rectangle((x, level), _WIDTH, 0.64, facecolor=colour, edgecolor="none"))
    text = f"{shape[0]} x {shape[1]}²"
    axis.text(x + _WIDTH / 2, level + 0.19, text, ha="center", va="center", color="white", fontsize=11)
    axis.text(x + _WIDTH / 2, level + 0.47, name, ha="center", va="center", color="white", fontsize=9)
