"""How one technology does it: one module for each, imported only by `connect` and `testing`."""
