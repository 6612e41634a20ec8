"""Which methods run on which task in benchmarks/methods.py: a new method needs its name here, and nothing else.

A name is that of a method, or of a method and one of its presets: ``pix2pix:l1``.
"""

from collections.abc import Mapping

UNPAIRED = ("identity", "histogram_matching", "cyclegan")

RUNS: Mapping[str, tuple[str, ...]] = {
    "dermoscopy_to_clinical": UNPAIRED,
    "poor_to_good_fundus": UNPAIRED,
    "t1_to_flair": (*UNPAIRED, "pix2pix"),
    "mask_to_dermoscopy": ("identity", "histogram_matching", "pix2pix"),
    "super_resolution": ("identity", "histogram_matching", "pix2pix"),
}

SHOWN_AS: Mapping[tuple[str, str], str] = {("super_resolution", "identity"): "bicubic (identity)"}
"""The source of super-resolution is the coarse image brought to the fine grid by bicubic interpolation."""

NARROW: Mapping[str, object] = {
    "generator_width": 16,
    "discriminator_width": 16,
    "width": 16,
    "patch": 16,
}
"""Settings that make networks narrow enough for two cores, where a recipe has them and a preset does not set them."""
