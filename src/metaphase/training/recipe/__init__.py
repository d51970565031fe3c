"""Recipes: sections, reading, writing and the reference."""
