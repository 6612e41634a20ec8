"""One self-contained page: the verdict first."""
