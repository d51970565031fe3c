"""Stains of H&E images: optical density, stain vectors, normalisation and jitter."""
