"""Fuzzing: readers must answer any input with a result or an error of metaphase's own.

``python -m tests.fuzz --help`` runs it; targets are in ``tests/fuzz/targets.py``.
"""
