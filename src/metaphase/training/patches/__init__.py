"""Training patches: sampling, reading and augmentation."""
