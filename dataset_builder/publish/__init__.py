"""Copies that may be published, and rows taken down."""
