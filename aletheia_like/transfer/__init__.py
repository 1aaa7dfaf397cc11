"""Moves projects, experiments and runs between stores, and into files and back."""
