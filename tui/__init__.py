"""The explorer: a full-screen view of a database, of its chain of blocks and of what its engine is doing.

It sees the engine through the public interface of `blockdb` alone, opens directories read-only beside whoever
writes them, and never waits on the event loop.
"""
