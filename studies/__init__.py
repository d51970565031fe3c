"""Measurements of quality that the documents quote: one module for each question."""
