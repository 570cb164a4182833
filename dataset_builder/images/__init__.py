"""Encoded images -> arrays, and arrays -> PNG."""
