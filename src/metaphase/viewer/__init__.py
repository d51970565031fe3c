"""A local web page to look at slides, detections and counts, and to review them."""
