"""Measurements of quality that the documentation quotes: one script a question."""
