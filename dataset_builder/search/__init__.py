"""An index of a dataset's embeddings, and what is asked of it."""
