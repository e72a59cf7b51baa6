"""Transfer of weights to another network: an encoder alone or a whole network, with one channel or three."""

import torch
from torch import nn

_CLASSIFIERS = ("fc.", "classifier.", "head.", "last_linear.")
_OUTSIDE = ("decoder.", "segmentation_head.", "input.")


def load_encoder(state: dict[str, torch.Tensor], model: nn.Module) -> None:
    """Puts an encoder's weights into `model.encoder`; all that it has must be there.

    Args:
        state: names with or without `encoder.` or timm's `model.` before them; those of a classifier are left out, and so
            is what the U-Net does not use of a timm network.

    Raises:
        RuntimeError: other names or shapes.
    """
    wanted = model.encoder.state_dict()
    state = {_bare(name): tensor for name, tensor in state.items()}
    found = {name: state.pop(_bare(name)) for name in wanted if _bare(name) in state}
    # What smp cuts off a timm network lies behind its last block.
    unused = _CLASSIFIERS + (("conv_head.", "bn2.") if any(name.startswith("model.") for name in wanted) else ())
    if left := [name for name in state if not name.startswith(unused)]:
        raise RuntimeError(f"unexpected: {', '.join(left[:3])}")
    model.encoder.load_state_dict({name: in_channels_of(tensor, wanted[name]) for name, tensor in found.items()})


def load_whole(state: dict[str, torch.Tensor], model: nn.Module) -> None:
    """Puts the weights of a whole network into `model`; input layers of another kind stay as they are.

    Raises:
        RuntimeError: other names or shapes.
    """
    encoder = {name: tensor for name, tensor in state.items() if not name.startswith(_OUTSIDE)}
    load_encoder(encoder, model)
    for part in ("decoder", "segmentation_head"):
        getattr(model, part).load_state_dict(_part(state, part))
    own, given = model.input.state_dict(), _part(state, "input")
    if {name: tensor.shape for name, tensor in own.items()} == {name: tensor.shape for name, tensor in given.items()}:
        model.input.load_state_dict(given)


def _part(state: dict[str, torch.Tensor], part: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(f"{part}."): tensor for name, tensor in state.items() if name.startswith(f"{part}.")}


def _bare(name: str) -> str:
    return name.removeprefix("encoder.").removeprefix("model.")


def in_channels_of(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A first layer's filters (K, C, h, w) for as many input channels as `like` has.

    Three are summed for one, which equals feeding grey three times; one is shared out among three, which equals it too.
    Any other tensor comes back as it is.
    """
    if tensor.ndim != 4 or like.ndim != 4:
        return tensor
    if tensor.shape[1] == 3 and like.shape[1] == 1:
        return tensor.sum(1, keepdim=True)
    if tensor.shape[1] == 1 and like.shape[1] == 3:
        return tensor.expand(-1, 3, -1, -1) / 3
    return tensor
