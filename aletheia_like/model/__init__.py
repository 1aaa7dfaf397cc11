"""What things are: names, values, records and digests. Standard library only; no I/O, no clock."""
