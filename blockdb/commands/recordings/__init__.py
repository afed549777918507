"""Recordings: what a database and its cluster did over time, in a file of JSON lines; shared by explorer and commands.

A recording has figures, states and events, and no keys and no values of records.
"""
