"""The U-Net that segments: MONAI's BasicUNet, resized instead of transposed."""

from torch import nn


def segmentation_unet(channels: int, classes: int, *, width: int = 16) -> nn.Module:
    """Build a U-Net of five levels with instance norm.

    Args:
        channels: Channels of the input, (N, channels, H, W) in [-1, 1]; H and W are multiples of 16.
        classes: Channels of the logits, (N, classes, H, W).
        width: Channels at full resolution; they double with every level down to ``8 * width``.

    Source:
        Falk et al. 2019, Nature Methods 16:67, as in MONAI; upsampling by interpolation and convolution, since a
        transposed convolution leaves a checkerboard (Odena et al. 2016). No bias before an instance norm, which
        would take it out again.
    """
    from monai.networks.nets import BasicUNet

    return BasicUNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=classes,
        features=(width, width, 2 * width, 4 * width, 8 * width, width),
        norm=("instance", {"affine": True}),
        bias=False,
        upsample="nontrainable",
    )
