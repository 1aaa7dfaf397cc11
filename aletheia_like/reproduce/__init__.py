"""Doing a run again: its code, its inputs, its command, and whether the same came of it."""
