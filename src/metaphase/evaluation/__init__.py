"""Detections and Dataset become Scores."""
