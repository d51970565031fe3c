"""The cases that a run trains on and is validated on."""
