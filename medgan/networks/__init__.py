"""Networks that MONAI lacks, and thin builders over those it has."""
