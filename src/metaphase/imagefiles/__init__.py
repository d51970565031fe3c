"""Image files in folders: which they are, and which of them are one slide."""
