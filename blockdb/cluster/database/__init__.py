"""A database whose writes are commands of a replicated log."""
