"""Locks on keys and on ranges of keys: who holds them, who waits for whom, and who gives way in a deadlock. Pure."""
