"""Tampering with a copy of a database, for real, to see which check finds it. Nothing in here touches an original."""
