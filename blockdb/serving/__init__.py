"""What every server of ours stands on: sockets, HTTP connections with limits, and a process that ends in order."""
