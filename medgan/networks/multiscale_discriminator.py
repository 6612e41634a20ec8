"""Several PatchGANs, each on an image half as large as the one before."""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from medgan.networks.blocks import Norm
from medgan.networks.patch_discriminator import Patch, PatchDiscriminator
from medgan.networks.spectral import spectrally_normalised


class MultiScaleDiscriminator(nn.Module):
    """Judges an image at full size, at half, at a quarter and so on, by a discriminator of its own each.

    Args:
        in_channels: C of what is judged.
        scales: How many sizes: 2 in SPADE and pix2pixHD's small setting, 3 in MUNIT.
        patch: Side in pixels of what one logit sees at its own scale.
        width: Channels of each first layer.
        norm: See :func:`medgan.networks.blocks.norm_layer`.
        spectral: Whether the weights are spectrally normalised.

    Source:
        Wang 2018, arXiv:1711.11585, section 3.2.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        scales: int = 3,
        patch: Patch = 70,
        width: int = 64,
        norm: Norm = "instance",
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            [PatchDiscriminator(in_channels, patch=patch, width=width, norm=norm) for _ in range(scales)]
        )
        if spectral:
            spectrally_normalised(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Judge at every scale.

        Args:
            image: (N, in_channels, H, W) in [-1, 1]; at the smallest scale still as large as
                :func:`medgan.networks.patch_discriminator.smallest_input_px` says.

        Returns:
            Logits (N, 1, h, w) for each scale, the full size first.
        """
        return [layers[-1] for layers in self.features(image)]

    def features(self, image: Tensor) -> list[list[Tensor]]:
        """What every activation gives at every scale, (N, C, h, w) each; the logits come last."""
        found: list[list[Tensor]] = []
        for scale, discriminator in enumerate(self.scales):
            if scale:
                image = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
            assert isinstance(discriminator, PatchDiscriminator)  # noqa: S101
            found.append(discriminator.features(image))
        return found
