"""Letters of domains: what methods call them, whatever they are called in a study."""

from typing import Literal, get_args

Domain = Literal["a", "b", "c", "d", "e", "f", "g", "h"]

LETTERS: tuple[Domain, ...] = get_args(Domain)
"""In order: a is the study's source, b its target, and from c on what a translator learns also."""
