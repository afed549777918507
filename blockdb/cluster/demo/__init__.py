"""A cluster to play with: its nodes are processes on the loopback address, and faults can be switched on and off."""
