"""Access logs: their files, their formats, and the lines in them."""
