"""Scores and intervals: NumPy in, numbers out."""
