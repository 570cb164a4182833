"""Readers of public corpora and of the authors' index."""
