"""Measurements of quality that the documentation quotes: one command each."""
