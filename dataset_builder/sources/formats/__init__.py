"""What files hold, for all readers: tars, lines, columns and names.

Read by offset, so that a build resumes in the middle of a file; nothing is extracted, and no pickle is loaded.
"""
