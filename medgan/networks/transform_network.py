"""The image transformation network of feed-forward style transfer: down twice, five residual blocks, up twice."""

import torch
from torch import Tensor, nn

from medgan.networks.blocks import Norm, ResidualBlock, Upsampling, activated, changed, convolution, upsampled


class TransformNetwork(nn.Module):
    """conv9-32, conv3-64 and conv3-128 of stride 2, five residual blocks, up to 64 and to 32, conv9-C, tanh.

    The paper's batch normalisation looks across a batch; instance normalisation takes its place, with a scale and a
    shift as batch normalisation has. It made better pictures, too (Ulyanov 2016). With ``upsampling="transposed"`` and
    for 3 channels this is the published network: 1,674,432 weights of convolutions, 3,200 of the normalisations and
    3 biases of the last layer; the paper's other biases, in front of normalisations, would be taken away again.

    Convolutions reflect the image at its edges. The paper's first version pads with zeros; its second found that this
    leaves artefacts along the borders, reflects the whole image by 40 pixels and does not pad in residual blocks.
    The paper scales the tanh to [0, 255], which is [-1, 1] here.

    What the last layer sums up is divided by the root of its inputs (Karras 2018, arXiv:1710.10196, section 4.1). An
    optimizer that moves every weight by its rate moves the sum of 81 * width products by as many times that:
    undivided, some regions were driven to the tanh's ends within few steps, where no gradient takes them back.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        width: Channels of the first layer.
        blocks: Residual blocks.
        upsampling: See :func:`medgan.networks.blocks.upsampled`.
        norm: See :func:`medgan.networks.blocks.norm_layer`.

    Source:
        Johnson 2016, arXiv:1603.08155, supplement, table 1; Ulyanov 2016, arXiv:1607.08022.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 32,
        blocks: int = 5,
        upsampling: Upsampling = "resize",
        norm: Norm = "instance-affine",
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *activated(convolution(in_channels, width, kernel=9, norm=norm)),
            *activated(convolution(width, 2 * width, kernel=3, stride=2, norm=norm)),
            *activated(convolution(2 * width, 4 * width, kernel=3, stride=2, norm=norm)),
            *(ResidualBlock(4 * width, norm=norm) for _ in range(blocks)),
            *activated(upsampled(4 * width, 2 * width, upsampling=upsampling, norm=norm, transposed_kernel=3)),
            *activated(upsampled(2 * width, width, upsampling=upsampling, norm=norm, transposed_kernel=3)),
            convolution(width, out_channels, kernel=9, norm="none"),
        )
        self._quiet = (81 * width) ** -0.5

    def forward(self, image: Tensor, start: Tensor | None = None) -> Tensor:
        """Generate an image.

        Args:
            image: (N, in_channels, H, W) in [-1, 1]; H and W are multiples of 4 and at least 8.
            start: (N, out_channels, H, W) in [-1, 1], to which the last layer is added before the tanh, so that a
                network that has learnt nothing gives it back, to within 0.001; none, as published, starts from grey.

        Returns:
            (N, out_channels, H, W) in [-1, 1].
        """
        drawn: Tensor = self.layers(image) * self._quiet
        return torch.tanh(drawn) if start is None else changed(start, drawn)

    @torch.no_grad()
    def change_nothing(self) -> None:
        """Set the last layer to zero, so that what is to be changed comes back as it is."""
        for parameter in self.layers[-1].parameters():
            parameter.zero_()
