"""Image files read as slides, and masks over them."""
