"""What a model is trained and scored on: rows, pairs, files and conversations."""
