"""Batch statistics over all processes that train together."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from medgan.losses.across_ranks import sum_over_ranks, trains_together


def share_batch_statistics(module: nn.Module) -> None:
    """Let every batch norm below a module see the batches of all ranks; nothing to do where there is one.

    Without this each rank would normalise by its own share of the batch, and the running statistics of the ranks would
    drift apart. Parameters, buffers and their names stay the same. Torch's own, which does this on a GPU alone, is
    taken there.
    """
    if not trains_together():
        return
    for name, child in list(module.named_children()):
        if not isinstance(child, nn.BatchNorm2d):
            share_batch_statistics(child)
        elif child.weight is not None and child.weight.is_cuda:
            setattr(module, name, nn.SyncBatchNorm.convert_sync_batchnorm(child))
        else:
            # The same object with another forward pass: whoever refers to it or its parameters still does.
            child.__class__ = SharedBatchNorm2d


class SharedBatchNorm2d(nn.BatchNorm2d):
    """A batch norm whose mean and variance are those of all ranks' batches."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Normalise (N, C, H, W); in evaluation mode by the running statistics."""
        if not self.training:
            return super().forward(input)
        values = input if input.dtype == torch.float64 else input.float()
        count = sum_over_ranks(values.new_tensor(float(values.numel() // values.shape[1])))
        over = (0, 2, 3)
        mean = sum_over_ranks(values.sum(over)) / count
        # In two passes: the mean of squares less the squared mean would lose digits.
        centred = values - mean[None, :, None, None]
        variance = sum_over_ranks(centred.square().sum(over)) / count
        _keep(self, mean, variance, float(count))
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight.to(values.dtype)
        out = centred * scale[None, :, None, None]
        if self.affine:
            out = out + self.bias.to(values.dtype)[None, :, None, None]
        return out.to(input.dtype)


@torch.no_grad()
def _keep(norm: _BatchNorm, mean: Tensor, variance: Tensor, count: float) -> None:
    """Take a batch into the running statistics, the variance unbiased, as torch does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    share = 1.0 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
    norm.running_var.lerp_((variance * (count / max(count - 1, 1))).to(norm.running_var.dtype), share)
