"""The published training steps of CycleGAN and pix2pix, written plainly from the papers: eager fp32, one by one."""

import itertools
import random

import torch
from torch import Tensor, nn

ADAM = {"lr": 2e-4, "betas": (0.5, 0.999)}


class Residual(nn.Module):
    """Two reflected 3 x 3 convolutions, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        other = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.body = nn.Sequential(*half, nn.ReLU(inplace=True), *other)

    def forward(self, features: Tensor) -> Tensor:
        """Add."""
        return features + self.body(features)


def resnet_9(width: int = 64) -> nn.Sequential:
    """c7s1-64, d128, d256, R256 x 9, u128, u64, c7s1-3 with transposed convolutions and biases."""
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU(inplace=True)]
    for c in (width, 2 * width):
        layers += [nn.Conv2d(c, 2 * c, 3, 2, 1), nn.InstanceNorm2d(2 * c), nn.ReLU(inplace=True)]
    layers += [Residual(4 * width) for _ in range(9)]
    for c in (4 * width, 2 * width):
        layers += [nn.ConvTranspose2d(c, c // 2, 3, 2, 1, 1), nn.InstanceNorm2d(c // 2), nn.ReLU(inplace=True)]
    return initialised(nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()))


def patch_gan(channels: int) -> nn.Sequential:
    """C64-C128-C256-C512 and one logit per patch of 70 x 70 pixels."""
    layers: list[nn.Module] = [nn.Conv2d(channels, 64, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    for c, stride in ((64, 2), (128, 2), (256, 1)):
        layers += [nn.Conv2d(c, 2 * c, 4, stride, 1), nn.InstanceNorm2d(2 * c), nn.LeakyReLU(0.2, inplace=True)]
    return initialised(nn.Sequential(*layers, nn.Conv2d(512, 1, 4, 1, 1)))


class UNet256(nn.Module):
    """Eight halvings, eight doublings by transposed convolutions, skip connections, batch norm, dropout."""

    def __init__(self) -> None:
        super().__init__()
        widths = [64, 128, 256, 512, 512, 512, 512, 512]
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths):
            parts: list[nn.Module] = [nn.LeakyReLU(0.2)] if level else []
            parts.append(nn.Conv2d(widths[level - 1] if level else 3, width, 4, 2, 1, bias=level in {0, 7}))
            parts += [nn.BatchNorm2d(width)] if 0 < level < 7 else []
            self.downs.append(nn.Sequential(*parts))
        for level in range(7, -1, -1):
            came, goes = widths[level] * (1 if level == 7 else 2), widths[level - 1] if level else 3
            parts = [nn.ReLU(), nn.ConvTranspose2d(came, goes, 4, 2, 1, bias=level == 0)]
            parts += [nn.BatchNorm2d(goes)] if level else [nn.Tanh()]
            parts += [nn.Dropout(0.5)] if level in {4, 5, 6} else []
            self.ups.append(nn.Sequential(*parts))

    def forward(self, image: Tensor) -> Tensor:
        """Down and up again."""
        kept = []
        for down in self.downs:
            image = down(image)
            kept.append(image)
        for number, up in enumerate(self.ups):
            image = up(image if number == 0 else torch.cat([kept[-1 - number], image], dim=1))
        return image


class Pool:
    """The last 50 fakes, handed out by chance."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def __call__(self, fake: Tensor) -> Tensor:
        """Take one in and hand one out."""
        if len(self.images) < 50:
            self.images.append(fake)
            return fake
        if random.random() < 0.5:  # noqa: S311
            return fake
        place = random.randrange(50)  # noqa: S311
        old, self.images[place] = self.images[place], fake
        return old


class CycleGANStep:
    """One step: six passes of the generators, one optimizer step of both, then of both discriminators."""

    def __init__(self) -> None:
        self.g_ab, self.g_ba, self.d_a, self.d_b = resnet_9(), resnet_9(), patch_gan(3), patch_gan(3)
        both = itertools.chain(self.g_ab.parameters(), self.g_ba.parameters())
        self.generators = torch.optim.Adam(both, **ADAM)
        both = itertools.chain(self.d_a.parameters(), self.d_b.parameters())
        self.discriminators = torch.optim.Adam(both, **ADAM)
        self.l1, self.mse, self.pool_a, self.pool_b = nn.L1Loss(), nn.MSELoss(), Pool(), Pool()

    def __call__(self, real_a: Tensor, real_b: Tensor) -> None:
        """Train on one image of each domain."""
        fake_b, fake_a = self.g_ab(real_a), self.g_ba(real_b)
        cycled_a, cycled_b = self.g_ba(fake_b), self.g_ab(fake_a)
        for judge in (self.d_a, self.d_b):
            judge.requires_grad_(requires_grad=False)
        self.generators.zero_grad()
        loss = 5 * (self.l1(self.g_ab(real_b), real_b) + self.l1(self.g_ba(real_a), real_a))
        loss = loss + self.says(self.d_b(fake_b), 1) + self.says(self.d_a(fake_a), 1)
        loss = loss + 10 * (self.l1(cycled_a, real_a) + self.l1(cycled_b, real_b))
        loss.backward()
        self.generators.step()
        for judge in (self.d_a, self.d_b):
            judge.requires_grad_(requires_grad=True)
        self.discriminators.zero_grad()
        for judge, real, fake, pool in (
            (self.d_a, real_a, fake_a, self.pool_a),
            (self.d_b, real_b, fake_b, self.pool_b),
        ):
            shown = pool(fake.detach())
            (0.5 * (self.says(judge(real), 1) + self.says(judge(shown), 0))).backward()
        self.discriminators.step()

    def says(self, logits: Tensor, truth: float) -> Tensor:
        """Least squares."""
        return self.mse(logits, torch.full_like(logits, truth))


class Pix2PixStep:
    """One step: the discriminator on real and fake, then the generator."""

    def __init__(self) -> None:
        self.g_ab, self.d_b = initialised(UNet256()), patch_gan(6)
        self.generator = torch.optim.Adam(self.g_ab.parameters(), **ADAM)
        self.discriminator = torch.optim.Adam(self.d_b.parameters(), **ADAM)
        self.l1, self.bce = nn.L1Loss(), nn.BCEWithLogitsLoss()

    def __call__(self, real_a: Tensor, real_b: Tensor) -> None:
        """Train on one pair."""
        fake_b = self.g_ab(real_a)
        self.d_b.requires_grad_(requires_grad=True)
        self.discriminator.zero_grad()
        fake = self.says(self.d_b(torch.cat([real_a, fake_b.detach()], dim=1)), 0)
        (0.5 * (fake + self.says(self.d_b(torch.cat([real_a, real_b], dim=1)), 1))).backward()
        self.discriminator.step()
        self.d_b.requires_grad_(requires_grad=False)
        self.generator.zero_grad()
        loss = self.says(self.d_b(torch.cat([real_a, fake_b], dim=1)), 1) + 100 * self.l1(fake_b, real_b)
        loss.backward()
        self.generator.step()

    def says(self, logits: Tensor, truth: float) -> Tensor:
        """Cross entropy."""
        return self.bce(logits, torch.full_like(logits, truth))


def initialised(network: nn.Module) -> nn.Module:
    """N(0, 0.02), as published."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
    return network
