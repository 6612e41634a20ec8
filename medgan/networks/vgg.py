"""VGG's convolutions, for features of weights that the user has."""

from torch import nn

_STAGES = {
    16: ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)),
    19: ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)),
}


def vgg16_layers() -> nn.Sequential:
    """The 13 convolutions of VGG-16, named as those of :func:`vgg19_layers`; 14,714,688 parameters.

    Source:
        Simonyan and Zisserman 2015, arXiv:1409.1556, table 1, column D.
    """
    return _layers(16)


def vgg19_layers() -> nn.Sequential:
    """The 16 convolutions with their rectifiers and pools, named as in the paper: ``conv1_1``, ``relu1_1``, ``pool1``.

    Takes (N, 3, H, W) and has 20,024,384 parameters.

    Source:
        Simonyan and Zisserman 2015, arXiv:1409.1556, table 1, column E.
    """
    return _layers(19)


def _layers(depth: int) -> nn.Sequential:
    network = nn.Sequential()
    came = 3
    for stage, (repeats, width) in enumerate(_STAGES[depth], start=1):
        for number in range(1, repeats + 1):
            network.add_module(f"conv{stage}_{number}", nn.Conv2d(came, width, 3, padding=1))
            network.add_module(f"relu{stage}_{number}", nn.ReLU())
            came = width
        network.add_module(f"pool{stage}", nn.MaxPool2d(2))
    return network
