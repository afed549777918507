"""How a query is answered: moments, the search of a plan, results page by page."""
