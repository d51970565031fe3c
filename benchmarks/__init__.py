"""Speed, measured side by side in one run. Quote the ratios: absolute times are of one computer."""
