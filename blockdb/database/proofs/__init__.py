"""What a database proves: the journal, checkpoints and receipts, the keys that sign, and what is kept elsewhere."""
