"""What surrounded a run; each module returns a record and stores nothing."""
