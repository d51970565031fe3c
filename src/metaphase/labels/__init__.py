"""Files of annotations become one Dataset of Cases."""
