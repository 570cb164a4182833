"""Measured facts of a build -> card, configs and Croissant; no number is typed."""
