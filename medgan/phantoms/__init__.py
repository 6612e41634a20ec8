"""Studies with a known truth, written as real files."""
