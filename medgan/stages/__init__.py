"""The steps of a study: Run and Manifest in, Manifest or rows out."""
