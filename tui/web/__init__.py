"""The explorer in a browser: `blockdb-tui --serve`."""
