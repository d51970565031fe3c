"""Detections and tissue become a mitotic count."""
