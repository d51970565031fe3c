"""Checks of a recipe and its data: labels and split, patches, network, run."""
