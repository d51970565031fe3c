"""What the tests of this room share."""

from __future__ import annotations

from hypothesis import settings

# A busy computer is no failure.
settings.register_profile("training", deadline=None)
settings.load_profile("training")
