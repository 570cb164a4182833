"""Reads what a caption claims of an image and judges it by what is measured there; the folder travels whole."""
