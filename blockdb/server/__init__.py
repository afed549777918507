"""The server: the doors through which other programs reach a database."""
