"""Merkle tree, blocks, chain, signatures: what makes a record provable. Pure: no file, no clock."""
