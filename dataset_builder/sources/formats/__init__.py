"""What files hold, for all readers: tars, lines, columns and names, read by offset, resumable, without extraction or pickle."""
