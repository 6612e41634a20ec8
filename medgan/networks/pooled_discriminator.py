"""A discriminator that gives one logit for a whole image, whatever its size."""

from torch import Tensor, nn

NEGATIVE_SLOPE = 0.3


class PooledDiscriminator(nn.Module):
    """Five convolutions, a mean over all places, two linear layers: one logit an image.

    For a width of 32 the kernels are 7, 5, 3, 3, 3, the strides 4, 1, 2, 1, 2 and the channels 32, 64, 128, 256, 256,
    512 as published, which ends in a softmax of two classes; one logit is the same. Where the paper's convolutions have
    no padding (227 px become 11), these are padded, so that images of 32 px fit. There is no normalisation.

    Args:
        in_channels: C of what is judged; input and output together where the judgement is conditional.
        width: Channels of the first layer.
        dropout: Share dropped in training behind the mean and behind the first linear layer.

    Source:
        Dosovitskiy and Brox 2016, arXiv:1602.02644, section 3.2 and the table of its discriminator.
    """

    def __init__(self, in_channels: int, *, width: int = 32, dropout: float = 0.5) -> None:
        super().__init__()
        channels = [in_channels, width, 2 * width, 4 * width, 8 * width, 8 * width]
        layers: list[nn.Module] = []
        for level, (kernel, stride) in enumerate(((7, 4), (5, 1), (3, 2), (3, 1), (3, 2))):
            layers += [
                nn.Conv2d(channels[level], channels[level + 1], kernel, stride=stride, padding=kernel // 2),
                nn.LeakyReLU(NEGATIVE_SLOPE),
            ]
        self.layers = nn.Sequential(*layers)
        self.judge = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(8 * width, 16 * width),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Dropout(dropout),
            nn.Linear(16 * width, 1),
        )
        self._initialise()

    def forward(self, image: Tensor) -> Tensor:
        """Judge images (N, in_channels, H, W) in [-1, 1]: logits (N, 1), high for real."""
        judged: Tensor = self.judge(self.layers(image).mean(dim=(2, 3)))
        return judged

    def _initialise(self) -> None:
        """Without a normalisation, N(0, 0.02) would let nothing through (He 2015, arXiv:1502.01852)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, a=NEGATIVE_SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
