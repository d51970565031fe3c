"""Slide and Model become Detections."""
