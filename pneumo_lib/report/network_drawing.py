"""The network drawn from itself: every block's tensor shape comes from a forward pass of the model."""

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pneumo_lib import experiments
from pneumo_lib.model import unet
from pneumo_lib.report.published import DECK, PAPER
from pneumo_lib.report.style import subplots


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
    encoder, decoder = found["encoder"], [*found["decoder"], found["output"][0]]
    figure, axis = subplots(figsize=(9.5, 5.4))
    depth = len(encoder) - 1
    left = [(level * 0.75, level) for level in range(depth + 1)]
    right = [(9.4 - level * 0.75, level) for level in range(depth - 1, -1, -1)]
    names = ["input", "first convolution", *(f"residual blocks {n}" for n in range(1, depth))]
    for (x, level), shape, name in zip(left, encoder, names, strict=True):
        _block(axis, x, level, shape, PAPER, name)
    for (x, level), shape in zip(right, found["decoder"], strict=True):
        _block(axis, x, level, shape, DECK, "decoder block")
    for (x, level), (to, _) in zip(left[1:-1], reversed(right[:-1]), strict=True):
        axis.annotate(
            "",
            (to - 0.05, level + 0.3),
            (x + 2.05, level + 0.3),
            arrowprops={"arrowstyle": "->", "color": "0.5", "linestyle": "--"},
        )
    axis.annotate(
        "",
        (right[0][0] + 0.2, depth - 1 + 0.75),
        (left[-1][0] + 2.05, depth + 0.3),
        arrowprops={"arrowstyle": "->", "color": DECK},
    )
    channels, pixels = decoder[-1]
    axis.text(right[-1][0] + 1, -0.35, f"3x3 convolution → {channels} x {pixels}²: logits", ha="center", fontsize=9)
    axis.text(5.7, 1.02, "skip connections", ha="center", fontsize=9, color="0.35")
    axis.set(xlim=(-0.2, 11.6), ylim=(depth + 0.9, -0.7))
    axis.set_axis_off()
    return figure


def _block(axis, x: float, level: int, shape: tuple[int, int], colour: str, name: str) -> None:
    axis.add_patch(Rectangle((x, level), 2, 0.6, facecolor=colour, edgecolor="none"))
    axis.text(x + 1, level + 0.2, f"{shape[0]} x {shape[1]}²", ha="center", va="center", color="white", fontsize=10)
    axis.text(x + 1, level + 0.45, name, ha="center", va="center", color="white", fontsize=7.5)
