"""The U-Net generator of pix2pix, and the encoder-decoder it was compared with."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from medgan.errors import GeometryError
from medgan.networks.blocks import Drawn, Norm, Upsampling, begin_quietly, changed, norm_layer, upsampled


class UNetGenerator(nn.Module):
    """Halves the image ``depth`` times with 4 x 4 convolutions, then doubles it again, joined by skip connections.

    Where the paper has batch normalisation at batch size 1, this has instance normalisation, which does the same there
    and does not depend on the batch elsewhere. The bottleneck has none: a single pixel would be wiped out. With
    ``upsampling="transposed"`` and a depth of 8 this is U-Net-256 less the affine terms: 54,404,675 parameters of the
    published code's 54,413,955 for 3 channels.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        depth: How often the image is halved, at least 2; see :func:`default_depth`.
        width: Channels of the first layer; they double with each level up to eight times this.
        skips: Whether encoder features are handed to the decoder; without, it is the paper's encoder-decoder.
        dropout: Share dropped in training in the three innermost levels of the decoder.
        upsampling: See :func:`medgan.networks.blocks.upsampled`. Without skips, the innermost level is transposed
            whatever stands here: only so does a bottleneck of one pixel become an image.
        norm: See :func:`medgan.networks.blocks.norm_layer`.
        predicts: ``"change"`` adds the last layer, which begins small, to the middle ``out_channels`` of the input
            before the tanh; ``in_channels`` are then an odd number of times ``out_channels``.

    Raises:
        GeometryError: G211, if a change has no middle slice to start from.

    Source:
        Isola 2017, arXiv:1611.07004, appendix 6.1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        depth: int = 8,
        width: int = 64,
        skips: bool = True,
        dropout: float = 0.5,
        upsampling: Upsampling = "resize",
        norm: Norm = "instance",
        predicts: Drawn = "image",
    ) -> None:
        super().__init__()
        if predicts == "change" and (in_channels % out_channels or in_channels // out_channels % 2 == 0):
            raise GeometryError(
                "G211",
                "a change starts from the middle slice of the input",
                got=f"{in_channels} in, {out_channels} out",
                expected="an odd number of slices in, each of the channels that come out",
            )
        self.out_channels = out_channels
        self.predicts: Drawn = predicts
        widths = [width * min(2**level, 8) for level in range(depth)]
        self.skips = skips
        self.downs = nn.ModuleList([_down(in_channels, widths[0], norm="none", activated=False)])
        for level in range(1, depth):
            kind: Norm = "none" if level == depth - 1 else norm
            self.downs.append(_down(widths[level - 1], widths[level], norm=kind, activated=True))

        self.ups = nn.ModuleList()
        for level in range(depth - 1, 0, -1):
            incoming = widths[level] * (2 if skips and level < depth - 1 else 1)
            # A bottleneck of one pixel, repeated and convolved with mirrored edges, stays the same everywhere, and a
            # normalisation then leaves nothing of it. Without skips all would be lost there.
            way: Upsampling = "transposed" if level == depth - 1 and not skips else upsampling
            up = upsampled(incoming, widths[level - 1], upsampling=way, norm=norm, transposed_kernel=4)
            drops = dropout > 0 and level >= max(depth - 3, 2)
            self.ups.append(nn.Sequential(nn.ReLU(inplace=True), up, nn.Dropout(dropout) if drops else nn.Identity()))
        incoming = widths[0] * (2 if skips else 1)
        last = upsampled(incoming, out_channels, upsampling=upsampling, norm="none", transposed_kernel=4)
        self.ups.append(nn.Sequential(nn.ReLU(inplace=True), last))
        if predicts == "change":
            begin_quietly(last)

    def forward(self, image: Tensor) -> Tensor:
        """Generate an image.

        Args:
            image: (N, in_channels, H, W) in [-1, 1]. Where a side is no multiple of 2 ** depth, its edge pixels are
                repeated outward as far as needed, and the frame is cut off again.

        Returns:
            (N, out_channels, H, W) in [-1, 1].
        """
        top, bottom, left, right = _frame(image, multiple=2 ** len(self.downs))
        features = F.pad(image, (left, right, top, bottom), mode="replicate") if top + bottom + left + right else image
        encoded: list[Tensor] = []
        for down in self.downs:
            features = down(features)
            encoded.append(features)
        for position, up in enumerate(self.ups):
            if self.skips and position > 0:
                features = torch.cat([features, encoded[-1 - position]], dim=1)
            features = up(features)
        drawn = features[..., top : top + image.shape[-2], left : left + image.shape[-1]]
        if self.predicts == "image":
            return torch.tanh(drawn)
        start = (image.shape[1] - self.out_channels) // 2
        return changed(image[:, start : start + self.out_channels], drawn)


def default_depth(size_px: int) -> int:
    """How often to halve a training image: the deepest, up to 8, that asks for a frame of no more than 15 %.

    Example:
        >>> [default_depth(size) for size in (64, 240, 256, 320, 512)]
        [6, 8, 8, 6, 8]
    """
    for depth in range(8, 2, -1):
        if -(-size_px // 2**depth) * 2**depth <= 1.15 * size_px:
            return depth
    return 2


def _down(in_channels: int, out_channels: int, *, norm: Norm, activated: bool) -> nn.Sequential:
    # The activation may overwrite what the skip connection carries: relu(leaky_relu(x)) is relu(x).
    return nn.Sequential(
        nn.LeakyReLU(0.2, inplace=True) if activated else nn.Identity(),
        nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=norm == "none"),
        norm_layer(norm, out_channels),
    )


def _frame(image: Tensor, *, multiple: int) -> tuple[int, int, int, int]:
    rows, columns = -image.shape[-2] % multiple, -image.shape[-1] % multiple
    return rows // 2, rows - rows // 2, columns // 2, columns - columns // 2
