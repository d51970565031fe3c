"""What metaphase knows of QuPath: its coordinates, classes, objects and GeoJSON."""
