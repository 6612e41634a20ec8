"""PatchGAN: a discriminator that judges each patch of an image on its own."""

from typing import Literal

from torch import Tensor, nn

from medgan.errors import SettingsError
from medgan.networks.blocks import Norm, norm_layer

Patch = Literal[1, 16, 34, 70, 142, 286]

_HALVINGS: dict[int, int] = {16: 1, 34: 2, 70: 3, 142: 4, 286: 5}


class PatchDiscriminator(nn.Module):
    """C64-C128-C256-C512 and one logit per patch, for a patch of 70 and a width of 64.

    No normalisation in the first layer, channels capped at eight times the width, no sigmoid at the end. A patch of 1
    is the paper's PixelGAN, of 286 its ImageGAN; 34 and 142 follow the same rule. For a patch of 70 and 3 channels
    there are 2,763,841 parameters of the published code's 2,764,737: it has biases in front of the instance norm.

    Args:
        in_channels: C of what is judged; input and output together where the judgement is conditional.
        patch: Side in pixels of what one logit sees.
        width: Channels of the first layer.
        norm: See :func:`medgan.networks.blocks.norm_layer`. Instance norm lets a logit know its image's statistics
            beyond its patch.

    Source:
        Isola 2017, arXiv:1611.07004, appendix 6.1.2.
    """

    def __init__(self, in_channels: int, *, patch: Patch = 70, width: int = 64, norm: Norm = "instance") -> None:
        super().__init__()
        if patch == 1:
            layers = [*_layer(in_channels, width, kernel=1, stride=1, norm="none")]
            layers += _layer(width, 2 * width, kernel=1, stride=1, norm=norm)
            layers += [nn.Conv2d(2 * width, 1, 1)]
        else:
            halvings = _HALVINGS[patch]
            widths = [width * min(2**level, 8) for level in range(halvings + 1)]
            layers = [*_layer(in_channels, width, kernel=4, stride=2, norm="none")]
            for level in range(1, halvings + 1):
                stride = 2 if level < halvings else 1
                layers += _layer(widths[level - 1], widths[level], kernel=4, stride=stride, norm=norm)
            layers += [nn.Conv2d(widths[-1], 1, 4, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """Judge each patch.

        Args:
            image: (N, in_channels, H, W) in [-1, 1]; sides of at least :func:`smallest_input_px`.

        Returns:
            Logits (N, 1, h, w), high for real.
        """
        return self.layers(image)

    def features(self, image: Tensor) -> list[Tensor]:
        """What each activation gives, (N, C, h, w), and last the logits: for losses that match features."""
        found: list[Tensor] = []
        for layer in self.layers:
            image = layer(image)
            if isinstance(layer, nn.LeakyReLU):
                found.append(image)
        return [*found, image]


def receptive_field_px(network: nn.Module) -> int:
    """Side in pixels of what one output of a plain chain of square convolutions sees."""
    field = 1
    for layer in reversed([module for module in network.modules() if isinstance(module, nn.Conv2d)]):
        field = (field - 1) * layer.stride[0] + layer.kernel_size[0]
    return field


def smallest_input_px(patch: Patch) -> int:
    """Smallest side for which there is a logit, and something to normalise.

    Example:
        >>> smallest_input_px(70)
        24
    """
    return 2 if patch == 1 else 3 * 2 ** _HALVINGS[patch]


def covering_patch(size_px: int) -> Patch:
    """The smallest patch above a pixel that is as large as a training image, or 286 for all that are larger.

    Example:
        >>> [covering_patch(size) for size in (16, 64, 70, 96, 256, 512)]
        [16, 70, 70, 142, 286, 286]
    """
    patches: tuple[Patch, ...] = (16, 34, 70, 142, 286)
    return next((patch for patch in patches if patch >= size_px), 286)


def check_patch_fits(patch: Patch, *, size_px: int) -> None:
    """Refuse a patch that is too large for the training images.

    Raises:
        SettingsError: S210.
    """
    if size_px < smallest_input_px(patch):
        raise SettingsError(
            "S210",
            "the training images are too small for the discriminator",
            where=f"patch {patch}",
            got=f"{size_px} px",
            expected=f"at least {smallest_input_px(patch)} px",
            remedy="take a smaller patch or a larger crop",
        )


def _layer(in_channels: int, out_channels: int, *, kernel: int, stride: int, norm: Norm) -> tuple[nn.Module, ...]:
    padding = 1 if kernel > 1 else 0
    return (
        nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=padding, bias=norm == "none"),
        norm_layer(norm, out_channels),
        nn.LeakyReLU(0.2, inplace=True),
    )
