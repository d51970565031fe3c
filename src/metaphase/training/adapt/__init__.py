"""Methods that make a detector hold up on scanners without labels, behind one small interface.

``base.py`` is the interface, ``registry.py`` finds a method by name, each file in ``methods/`` is
one method, ``unlabelled.py`` gives the patches, ``existing.py`` adapts a model file. How to add a
method: docs/generalization.md.
"""
