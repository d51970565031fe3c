"""The HTTP routes of the review page: slides and counts, pixels, decisions and export."""
