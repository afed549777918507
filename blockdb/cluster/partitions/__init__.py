"""A database that is spread over nodes: partitions, each a database of its own over a log of its own."""
