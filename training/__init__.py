"""Training, evaluation and release: one page a method, each also `python -m training.<name>`."""
