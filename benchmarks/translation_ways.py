"""The other ways of translating that benchmarks/translation.py stands beside, and what it translates."""

from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import Tensor, nn

from medgan.imaging.intensity import Window
from medgan.methods.cyclegan import CycleGAN, CycleGANRecipe
from medgan.methods.identity import Identity, IdentityRecipe
from medgan.settings.loop import TranslationPrecision
from medgan.settings.preparation import Preparation
from medgan.stages.trained import TrainedTranslator
from medgan.training.inference import ready_for_inference
from medgan.training.translator import SampleShape, Translator

HU = Window(low=-1024, high=3071, unit="HU")


@torch.no_grad()
def published_loop(g_ab: nn.Module, g_ba: nn.Module, slices: Tensor) -> list[Tensor]:
    """As the published code tests: for every pair of images both translations and both reconstructions, one by one."""
    made = []
    for image in slices:
        real_a = real_b = image[None]
        fake_b = g_ab(real_a)
        g_ba(fake_b)
        fake_a = g_ba(real_b)
        g_ab(fake_a)
        made.append(fake_b[0])
    return made


@torch.no_grad()
def one_direction_loop(g_ab: nn.Module, slices: Tensor) -> list[Tensor]:
    """The same, but for what nobody asked for."""
    return [g_ab(image[None])[0] for image in slices]


def networks(*, width: int, upsampling: str, device: torch.device) -> CycleGAN:
    """A CycleGAN with ResNet-9 generators and weights from a seed, as trained networks come: eager, fp32."""
    torch.manual_seed(0)
    recipe = CycleGANRecipe.model_validate({"generator_width": width, "blocks": 9, "upsampling": upsampling})
    return CycleGAN(recipe, shape=SampleShape(channels=1, neighbours=1, size_px=256)).eval().to(device)


def translator(learner: Translator, *, precision: TranslationPrecision, device: torch.device) -> TrainedTranslator:
    """What ``medgan.open_run`` gives, of a run that was never trained."""
    return TrainedTranslator(
        learner=ready_for_inference(learner, precision=precision, device=device),
        directions=learner.directions,
        preparation=Preparation(preset="ct"),
        source="a",
        target="b",
        windows={"a": HU, "b": HU},
        weights_sha256="0" * 64,
        method="cyclegan",
        device=device,
        precision=precision,
    )


def unchanging() -> Translator:
    """A method that takes no time and no memory."""
    return Identity(IdentityRecipe(), shape=SampleShape(channels=1, neighbours=1, size_px=256))


def ct_volume(path: Path, *, shape: tuple[int, int, int]) -> Path:
    """A CT of smooth noise (D, H, W), int16, written slice by slice."""
    rng = np.random.default_rng(20240607)
    depth, height, width = shape
    ground = np.kron(rng.normal(0, 300, size=(height // 16, width // 16)), np.ones((16, 16)))
    voxels = np.empty((width, height, depth), dtype=np.int16, order="F")
    for index in range(depth):
        voxels[:, :, index] = (ground + rng.normal(0, 20, size=ground.shape) + index).T
    nib.save(nib.Nifti1Image(voxels, np.diag([0.8, 0.8, 1.0, 1.0])), path)
    return path


def resident_mib() -> float:
    """The most memory that this process has ever held."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
