"""Lines of a head taken out, put in and replaced; nothing of it is for Python."""
