"""Training of one network with Lightning, and the choice of its threshold."""
