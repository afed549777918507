"""One module a screen: the three views, and what comes over them."""
