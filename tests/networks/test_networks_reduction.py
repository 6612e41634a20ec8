"""Reductions and enlargements: against Pillow's filters, by hand, and where their pixels stand."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from medgan.errors import GeometryError
from medgan.networks.levels import with_levels_of
from medgan.networks.reduction import Kernel, enlarged, reduced, sampled

KERNELS: tuple[Kernel, ...] = ("bicubic", "box", "gaussian", "gaussian-bicubic")
every_kernel = pytest.mark.parametrize("kernel", KERNELS)


def smooth(height: int, width: int) -> Tensor:
    """An image that no kernel takes out of [-1, 1]."""
    generator = torch.Generator().manual_seed(2)
    coarse = torch.rand(1, 1, 6, 6, generator=generator) - 0.5
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")


def by_pillow(image: Tensor, size: tuple[int, int], resample: Image.Resampling) -> Tensor:
    picture = Image.fromarray(image[0, 0].numpy(), mode="F")
    return torch.from_numpy(np.array(picture.resize((size[1], size[0]), resample)))[None, None]


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize(("kernel", "resample"), [("bicubic", Image.Resampling.BICUBIC), ("box", Image.Resampling.BOX)])
@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_reductions_are_those_of_pillow(factor: int, kernel: Kernel, resample: Image.Resampling) -> None:
    image = smooth(48, 32)
    found = reduced(image, factor=factor, kernel=kernel)
    torch.testing.assert_close(found, by_pillow(image, (48 // factor, 32 // factor), resample), atol=2e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_enlargement_is_that_of_pillow() -> None:
    image = smooth(12, 10)
    found = enlarged(image, factor=4)
    torch.testing.assert_close(found, by_pillow(image, (48, 40), Image.Resampling.BICUBIC), atol=2e-5, rtol=0)


@every_kernel
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_ramp_stays_the_same_ramp_on_the_coarse_grid(kernel: Kernel, factor: int) -> None:
    """A coarse pixel stands in the middle of its block, so that nothing is shifted."""
    ramp = torch.linspace(-0.9, 0.9, 24 * factor).expand(1, 1, 24 * factor, -1)
    for image in (ramp, ramp.transpose(2, 3)):
        found = reduced(image, factor=factor, kernel=kernel)
        wanted = image.unflatten(2, (24, factor)).mean(3).unflatten(3, (24, factor)).mean(4)
        inner = (..., slice(6, -6), slice(6, -6))
        torch.testing.assert_close(found[inner], wanted[inner], atol=1e-5, rtol=0)


@every_kernel
@pytest.mark.parametrize("level", [-1.0, 0.3, 1.0])
def test_a_plain_image_stays_plain_to_its_edges(kernel: Kernel, level: float) -> None:
    found = reduced(torch.full((2, 3, 16, 8), level), factor=4, kernel=kernel)
    assert found.shape == (2, 3, 4, 2)
    torch.testing.assert_close(found, torch.full((2, 3, 4, 2), level), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("factor", "offsets"), [(2, (-0.5, 0.5)), (3, (-1.0, 0.0, 1.0))])
def test_the_gaussian_by_hand(factor: int, offsets: tuple[float, ...]) -> None:
    """One white pixel in the middle block spreads by the Gaussian's weights at the offsets within its block."""
    sigma, size = 0.7, 7 * factor
    reach = torch.arange(-20, 21) + (0.5 if factor == 2 else 0.0)
    reach = reach[reach.abs() <= math.ceil(4 * sigma - (0.5 if factor == 2 else 0)) + 0.5]
    total = torch.exp(-(reach.double() ** 2) / (2 * sigma**2)).sum().item()
    for number, offset in enumerate(offsets):
        image = torch.zeros(1, 1, size, size)
        place = 3 * factor + number
        image[..., place, place] = 1
        weight = math.exp(-(offset**2) / (2 * sigma**2)) / total
        found = reduced(image, factor=factor, kernel="gaussian", sigma_px=sigma)
        assert found[0, 0, 3, 3].item() == pytest.approx(weight**2, rel=1e-4)


def test_what_leaves_the_range_is_clipped() -> None:
    image = torch.full((1, 1, 16, 16), -1.0)
    image[..., 8:] = 1
    found = reduced(image, factor=2, kernel="bicubic")
    assert found.abs().max() == 1
    assert enlarged(found, factor=2).abs().max() == 1


def test_sides_that_are_no_multiples_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"\[G214\].*cannot be reduced by a whole factor.*10 x 8"):
        reduced(torch.zeros(1, 1, 10, 8), factor=4, kernel="box")


def test_levels_of_another_image_in_the_order_of_the_first() -> None:
    generator = torch.Generator().manual_seed(1)
    image, reference = torch.rand(2, 2, 2, 5, 4, generator=generator)
    found = with_levels_of(image, reference)
    assert torch.equal(found.flatten(2).sort().values, reference.flatten(2).sort().values)
    assert torch.equal(found.flatten(2).argsort(), image.flatten(2).argsort())
    assert torch.equal(with_levels_of(image, image), image)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_what_was_interpolated_is_read_back_where_a_second_filter_would_blur_it(factor: int) -> None:
    coarse = smooth(24, 16) + 0.2 * torch.rand(1, 1, 24, 16, generator=torch.Generator().manual_seed(4))
    fine = enlarged(coarse, factor=factor)
    again, filtered = sampled(fine, factor=factor), reduced(fine, factor=factor, kernel="bicubic")
    assert again.shape == coarse.shape
    error, blur = ((one - coarse).square().mean().sqrt() for one in (again, filtered))
    assert error < 0.01
    assert error < 0.3 * blur


def test_a_side_that_is_no_multiple_cannot_be_read() -> None:
    with pytest.raises(GeometryError, match=r"\[G214\].*multiples of 4"):
        sampled(torch.zeros(1, 1, 10, 8), factor=4)
