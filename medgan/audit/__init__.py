"""Safety checks, one file each; there is none yet, and the report says so beside its verdict."""
