"""Imported graphs: what they take and give is found out once, and stated in the model card."""
