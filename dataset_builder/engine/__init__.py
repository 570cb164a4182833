"""Runs tasks on interchangeable workers, resumably: here, in processes, or on Ray."""
