"""What somebody has in a file or folder, and the recipe that builds it: one kind of data a file."""
