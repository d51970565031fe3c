"""The model file, and the networks that it can hold."""
