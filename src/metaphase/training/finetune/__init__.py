"""Fine-tuning of the second stage with the decisions of a review."""
