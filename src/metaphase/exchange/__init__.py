"""Detections to and from other tools' formats."""
