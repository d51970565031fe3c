"""One file a method; its name with ``-`` for ``_`` is what recipes call it."""
