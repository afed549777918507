"""What the engine did lately, as recordings have it too."""

from blockdb.commands.recordings.history import History, Moment

__all__ = ["History", "Moment"]
