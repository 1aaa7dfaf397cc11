"""The command `aletheia`: one module for each group of verbs."""
