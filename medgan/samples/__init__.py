"""Prepared arrays and what a training step draws from them."""
