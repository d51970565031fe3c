"""A synthetic data set with pixels, made from nothing but a seed."""
