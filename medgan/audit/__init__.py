"""Safety checks, one file each."""
