"""The folder that a build works in: begun whole, continued, locked, discarded."""
