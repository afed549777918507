"""What the view of a cluster knows, free of any screen: lanes, their story over time, recordings, who is asked."""
