"""Training of the network that recognises atypical mitotic figures."""
