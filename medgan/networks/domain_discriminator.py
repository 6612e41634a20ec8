"""The discriminator of StarGAN: whether patches are real, and which domain an image is of."""

from torch import Tensor, nn

from medgan.errors import SettingsError

NEGATIVE_SLOPE = 0.01


class DomainDiscriminator(nn.Module):
    """Strided 4 x 4 convolutions 64, 128, ..., 2048 without a normalisation, and two heads on what they give.

    One head judges patches, 3 x 3; the other looks at the whole map at once and names the domain, so that it takes
    images of the size it was made for alone. For 6 halvings, a width of 64, 3 channels, 8 domains and 128 px these are
    the published 44,786,624 parameters, and a logit of the first head sees 318 px, which is the whole image.

    Args:
        in_channels: C of what is judged.
        domains: How many there are.
        size_px: Side of the square images.
        halvings: Strided convolutions.
        width: Channels of the first layer.

    Raises:
        SettingsError: S210, if nothing is left of an image so small.

    Source:
        Choi 2018, arXiv:1711.09020, table 5; the slope of 0.01 from its section 4.
    """

    def __init__(self, in_channels: int, domains: int, *, size_px: int, halvings: int = 6, width: int = 64) -> None:
        super().__init__()
        left_px = size_px >> halvings
        if left_px < 1:
            raise SettingsError(
                "S210",
                "the training images are too small for the discriminator",
                where=f"{halvings} halvings",
                got=f"{size_px} px",
                expected=f"at least {2**halvings} px",
                remedy="take fewer discriminator_halvings or a larger crop",
            )
        widths = [in_channels, *(width * 2**level for level in range(halvings))]
        layers: list[nn.Module] = []
        for level in range(halvings):
            layers += [
                nn.Conv2d(widths[level], widths[level + 1], 4, stride=2, padding=1),
                nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
            ]
        self.layers = nn.Sequential(*layers)
        self.source = nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False)
        self.domain = nn.Conv2d(widths[-1], domains, left_px, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Judge images (N, in_channels, size_px, size_px) in [-1, 1]: logits (N, 1, h, w), high for real."""
        judged: Tensor = self.source(self.layers(image))
        return judged

    def classify(self, image: Tensor) -> Tensor:
        """Logits of the domains, (N, domains), for images (N, in_channels, size_px, size_px) in [-1, 1]."""
        told: Tensor = self.domain(self.layers(image))
        return told.flatten(1)
