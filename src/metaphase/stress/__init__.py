"""How detection scores change when images change in known ways."""
