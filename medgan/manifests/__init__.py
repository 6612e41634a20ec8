"""One row per case, split by subject."""
