"""Which methods run on which task in benchmarks/methods.py: a new method needs its name here, and nothing else.

A name is that of a method, or of a method and one of its presets: ``pix2pix:l1``.
"""

from collections.abc import Mapping

UNPAIRED = ("identity", "histogram_matching", "cyclegan", "unit", "munit", "cut", "cut:fastcut", "stargan")
CHANGE = ("cyclegan:change", "cut:change", "stargan:change", "dualgan:change")
"""Those that start from the input."""
CYCLEGAN = tuple(f"cyclegan:{name}" for name in ("full", "cycle", "gan", "forward", "backward"))
STYLE = ("johnson_style", "gatys")
COMPARED = ("dualgan", "cogan", "bigan")
"""What CycleGAN was compared with, or came out beside it."""
PIX2PIX = ("pix2pix", "pix2pix:l1", "pix2pix:gan", "pix2pix:cgan", "pix2pix:l1-gan", "pix2pix:encoder-decoder")
PATCHES = ("pix2pix:pixel", "pix2pix:image")
"""Discriminators of one pixel and of the whole image; `pix2pix` itself has patches of 16 px here."""
TRIVIAL = ("identity", "histogram_matching")
SRGAN = ("srgan:srresnet-mse", "srgan:srresnet-features", "srgan:srgan-mse", "srgan")  # by itself, srgan-features
RESOLUTION = (*SRGAN, "johnson_resolution", "johnson_resolution:pixels")

RUNS: Mapping[str, tuple[str, ...]] = {
    "dermoscopy_to_clinical": (*UNPAIRED, *COMPARED, *CHANGE, *STYLE),
    "poor_to_good_fundus": (*UNPAIRED, *COMPARED, *CHANGE, *STYLE),
    "fundus_sites": (*TRIVIAL, "cyclegan", "cyclegan:change", "stargan", "stargan:change"),
    "single_fundus": (*TRIVIAL, *STYLE, "cyclegan", "cut", "cut:sincut"),
    "t1_to_flair": (
        *UNPAIRED,
        *COMPARED,
        "dualgan:gan",
        *CHANGE,
        *STYLE,
        *CYCLEGAN,
        *PIX2PIX,
        *PATCHES,
        "spade:image-map",
        "deepsim",
    ),
    "mask_to_dermoscopy": (*TRIVIAL, *PIX2PIX, "spade", "deepsim"),
    "super_resolution": (*TRIVIAL, "pix2pix", "pix2pix:l1", *RESOLUTION),
}

SHOWN_AS: Mapping[tuple[str, str], str] = {("super_resolution", "identity"): "bicubic (identity)"}
"""The source of super-resolution is the coarse image brought to the fine grid by bicubic interpolation."""

NARROW: Mapping[str, object] = {
    "generator_width": 16,
    "discriminator_width": 16,
    "width": 16,
    "patch": 16,
    "scales": 2,
    "iterations": 60,
}
"""Settings that make networks narrow and optimisations short enough for two cores, where a recipe has them and a preset
does not set them."""

RATE = 5.0
"""Every method's published learning rate is multiplied by this: the trainings are hundreds of times shorter."""

OWN_RATE: Mapping[str, float] = {"stargan:change": 1.0}
"""In place of it; chosen by short trainings on training subjects, split once more."""
