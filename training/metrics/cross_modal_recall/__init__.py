"""Recall@k between two sets of embeddings, exact and group-aware."""
