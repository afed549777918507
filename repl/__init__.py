"""The interactive shell, and the plain reader that runs the same lines from scripts and pipes."""
