"""What client and server say to each other: operations, their requests and answers, and how these are written. Pure."""
