"""Reads what other trackers recorded, each by a module that yields the same neutral records."""
