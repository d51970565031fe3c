"""Files of pixels become one Slide."""
