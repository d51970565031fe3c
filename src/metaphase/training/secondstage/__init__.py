"""Training of the second stage."""
