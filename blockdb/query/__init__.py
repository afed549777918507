"""Queries: one small language that asks for documents, understood, planned and evaluated. Pure."""
