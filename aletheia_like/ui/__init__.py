"""The web page over a metastore: read-only but for tags and requests to stop."""
