"""Witnesses (C2SP `tlog-witness`): who remembers the last checkpoint of a log, and signs only what extends it."""
