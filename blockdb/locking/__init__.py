"""Locks on keys and ranges, who waits for whom, and whom a deadlock costs. Pure."""
