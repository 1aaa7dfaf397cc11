"""Finds what nothing refers to, and takes away what is old enough."""
