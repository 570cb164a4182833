"""Captioners that ask a model: what they ask, over what, and how answers are read."""
