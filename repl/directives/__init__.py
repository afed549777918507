r"""The backslash commands of the shell (`\watch`, `\set`), which are about the shell and not about the database.

Each is declared once, in `table`. A line that begins with a backslash and one of their names is one; every other line
is a command of `blockdb.commands`. They work in scripts too, but for those that are about a terminal.
"""
