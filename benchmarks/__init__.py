"""Speed, compared in one run. Quote the ratios: absolute times depend on the computer."""
