"""What is learnt from translated images: segmentation and classification."""
