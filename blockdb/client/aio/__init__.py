"""The same interface for event loops: what has to be waited for is awaited, and everything else is shared."""
