"""Consensus, without clock, socket or file: `Raft` is told what happened, and says what is to be done about it."""
