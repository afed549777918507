"""Transactions: their locks, their writes until the commit, and the two phases over several collections."""
