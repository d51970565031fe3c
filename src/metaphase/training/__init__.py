"""Dataset and Slides become a model file."""
