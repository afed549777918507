"""Who may do what: rights, roles, and what a request touches. Pure."""
