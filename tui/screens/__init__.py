"""One module a screen: the views, and what comes over them."""
