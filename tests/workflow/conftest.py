"""Whole tiny studies, run once."""

from tiny_studies import finished_brains, finished_lesions

__all__ = ["finished_brains", "finished_lesions"]
