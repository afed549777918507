"""Bytes <-> values: one codec module for each thing on disk. Nobody else packs bytes.

Each module names its page under `docs/formats/`; the pages' hexadecimal examples are decoded by the tests.
"""
