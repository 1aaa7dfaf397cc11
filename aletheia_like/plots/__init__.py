"""Plots: what is to be seen is decided as plain facts, which several media then draw."""
