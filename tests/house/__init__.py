"""How the package is built: its rooms, the imports between them, sizes, and a picture of it all.

    python -m tests.house                                   print the measures
    python -m tests.house --draw docs/images/architecture.svg   draw the rooms

``imports`` reads the imports from the code, ``measures`` counts lines and tests, ``drawing`` draws.
"""
