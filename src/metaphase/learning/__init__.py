"""Learning from a review: proposals, decisions, fine-tuning, and again."""
