"""A study becomes jobs, and jobs are handed to Snakemake."""
