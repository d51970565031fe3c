"""One module for each format of label files."""
