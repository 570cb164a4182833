"""Cards and pages written from facts that a run measured."""
