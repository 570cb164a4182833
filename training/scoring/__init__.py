"""How models are scored: embeddings, generation, tables and intervals."""
