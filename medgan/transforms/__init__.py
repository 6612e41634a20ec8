"""The deterministic preparation of a modality, and a trained method as a transform."""
