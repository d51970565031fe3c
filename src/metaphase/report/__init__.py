"""Everything measured, in one HTML file."""
