"""Copies of a database beside its writers, streams of them, and what becomes of such a stream."""
