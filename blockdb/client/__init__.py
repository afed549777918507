"""The same interface over the network."""
