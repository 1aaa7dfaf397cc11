"""Views of rows: which runs are told apart, and which panels show what they logged."""
