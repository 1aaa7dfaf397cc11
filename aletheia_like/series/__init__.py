"""Versioned series: intervals of sorted rows, an immutable changelog, columns in blobs."""
