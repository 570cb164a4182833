"""How models are trained: trainers, their adapters and callbacks, and what a run leaves."""
