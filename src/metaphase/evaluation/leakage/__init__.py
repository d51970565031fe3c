"""Data that lies on both sides of a split."""
