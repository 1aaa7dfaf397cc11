"""How objects become files and come back: one handler for each format, found by its name."""
