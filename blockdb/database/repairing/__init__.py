"""Repair: what can be derived is rebuilt from the chain, and what cannot be is set aside."""
