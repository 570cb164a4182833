"""Self-contained `evaluate` modules, one folder each, loadable by path or from the Hub."""
