"""The generator of StarGAN: an image and the domain wanted in, the image of that domain out."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from medgan.networks.blocks import (
    Norm,
    ResidualBlock,
    Upsampling,
    activated,
    begin_quietly,
    changed,
    convolution,
    upsampled,
)
from medgan.networks.resnet_generator import Padding, Prediction


class DomainGenerator(nn.Module):
    """7 x 7 to 64, 4 x 4 down to 128 and 256, residual blocks, up to 128 and 64, 7 x 7 to the image, tanh.

    The domain wanted is laid beside the image as maps, one for each domain: 1 all over for the one that is wanted, 0
    for the others. With ``padding="zeros"``, ``first_norm="instance-affine"`` and ``upsampling="transposed"`` this is
    the published network but for zero padding within the residual blocks, which pad by reflection here, and 3 biases of
    the last layer: for 3 channels and 8 domains it has 8,439,939 parameters.

    A map that is the same all over adds one number to each channel of the first convolution, and instance
    normalisation takes exactly that away: with reflected edges nothing of the label remains, with zeros a trace along
    the edges, the fainter the larger the image. Without a normalisation behind the first layer the number shifts what
    its ReLU lets through, everywhere alike and at any size.

    Args:
        channels: C of the image, in and out.
        domains: How many there are.
        width: Channels of the first layer.
        blocks: Residual blocks.
        upsampling: See :func:`medgan.networks.blocks.upsampled`.
        norm: See :func:`medgan.networks.blocks.norm_layer`.
        first_norm: What stands behind the first convolution.
        padding: Of the first three convolutions.
        predicts: ``"change"`` adds the last layer, which begins small, to the image before the tanh.
        label_last: Lays the domain's maps beside what the last convolution sees, too. With reflected edges that is one
            number for each channel and domain, added before the tanh, which need not find its way through the features.

    Source:
        Choi 2018, arXiv:1711.09020, table 4.
    """

    def __init__(
        self,
        channels: int,
        domains: int,
        *,
        width: int = 64,
        blocks: int = 6,
        upsampling: Upsampling = "resize",
        norm: Norm = "instance-affine",
        first_norm: Norm = "none",
        padding: Padding = "reflect",
        predicts: Prediction = "image",
        label_last: bool = False,
    ) -> None:
        super().__init__()
        self.domains = domains
        self.predicts: Prediction = predicts
        reflect = padding == "reflect"
        self.encoder = nn.Sequential(
            *activated(convolution(channels + domains, width, kernel=7, norm=first_norm, reflect=reflect)),
            *activated(convolution(width, 2 * width, kernel=4, stride=2, norm=norm, reflect=reflect)),
            *activated(convolution(2 * width, 4 * width, kernel=4, stride=2, norm=norm, reflect=reflect)),
        )
        self.residuals = nn.Sequential(*(ResidualBlock(4 * width, norm=norm) for _ in range(blocks)))
        self.decoder = nn.Sequential(
            *activated(upsampled(4 * width, 2 * width, upsampling=upsampling, norm=norm, transposed_kernel=4)),
            *activated(upsampled(2 * width, width, upsampling=upsampling, norm=norm, transposed_kernel=4)),
            convolution(width + domains * label_last, channels, kernel=7, norm="none", reflect=reflect),
        )
        self.label_last = label_last
        if predicts == "change":
            begin_quietly(self.decoder)

    def forward(self, image: Tensor, wanted: Tensor) -> Tensor:
        """Generate images.

        Args:
            image: (N, channels, H, W) in [-1, 1]; H and W are multiples of 4 and at least 8.
            wanted: Domain of each, (N,), whole numbers from 0.

        Returns:
            (N, channels, H, W) in [-1, 1].
        """
        maps = F.one_hot(wanted, self.domains).to(image.dtype)[:, :, None, None].expand(-1, -1, *image.shape[-2:])
        seen = self.decoder[:-1](self.residuals(self.encoder(torch.cat([image, maps], dim=1))))
        drawn = self.decoder[-1](torch.cat([seen, maps], dim=1) if self.label_last else seen)
        return changed(image, drawn) if self.predicts == "change" else torch.tanh(drawn)
