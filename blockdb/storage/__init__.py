"""The disk: one door to the operating system, the chain files, tables, recovery and background work."""
