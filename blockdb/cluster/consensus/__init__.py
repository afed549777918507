"""Raft with its I/O: the log on the disk, the driver of the core, and snapshots."""
