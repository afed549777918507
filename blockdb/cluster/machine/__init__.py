"""What the commands of the replicated log do to a database, the same on every node."""
