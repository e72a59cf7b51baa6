"""Sums and batch norm over the ranks of a process group, with gradients.

With one process every function here gives back what it was given.
"""

import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import nn


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class _Sum(torch.autograd.Function):
    # Each rank's loss depends on every rank's share of the sum, so the gradients are summed too.
    @staticmethod
    def forward(ctx, tensor):
        return _reduced(tensor)

    @staticmethod
    def backward(ctx, gradient):
        return _reduced(gradient)


def _reduced(tensor: torch.Tensor) -> torch.Tensor:
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def all_sum(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor of any shape over all ranks; differentiable."""
    return tensor if world_size() == 1 else _Sum.apply(tensor)


def all_gather(value) -> list:
    """Each rank's (picklable) value, in the order of the ranks."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


class BatchNorm(nn.BatchNorm2d):
    """Batch norm (N, C, H, W) whose statistics are those of all ranks' images; every rank holds as many.

    For CPUs, where PyTorch's own synchronised batch norm does not run; the numbers are the same. `after`: the activation
    that timm's batch norm has inside, or nothing.
    """

    def __init__(self, *arguments, after: nn.Module | None = None):
        super().__init__(*arguments)
        self.after = after

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs = self._normalised(inputs)
        return self.after(outputs) if self.after is not None else outputs

    def _normalised(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training or world_size() == 1:
            return super().forward(inputs)
        # Statistics in float32 whatever the precision, as PyTorch's own.
        wide = inputs.float()
        mean = all_sum(wide.mean((0, 2, 3))) / world_size()
        centred = wide - mean[:, None, None]
        variance = all_sum((centred * centred).mean((0, 2, 3))) / world_size()
        self._keep(mean.detach(), variance.detach(), inputs.numel() // len(mean) * world_size())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(inputs.dtype)

    def _keep(self, mean: torch.Tensor, variance: torch.Tensor, count: int) -> None:
        self.num_batches_tracked += 1
        # Without a momentum the running values are the plain mean over all batches: the pass after weight averaging.
        momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * count / (count - 1), momentum)


def synchronised(model: nn.Module, device: str) -> nn.Module:
    """The network with every batch norm replaced by one over all ranks; names of weights stay."""
    if device == "cuda":
        # timm's own: PyTorch's would drop the activation of timm's batch norm.
        return convert_sync_batchnorm(model)
    for name, layer in list(model.named_modules()):
        if type(layer) in (nn.BatchNorm2d, BatchNormAct2d):
            after = nn.Sequential(layer.drop, layer.act) if isinstance(layer, BatchNormAct2d) else None
            new = BatchNorm(layer.num_features, layer.eps, layer.momentum, after=after)
            new.load_state_dict(layer.state_dict())
            new.weight.requires_grad_(layer.weight.requires_grad)
            model.set_submodule(name, new)
    return model
