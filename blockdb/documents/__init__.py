"""Documents: JSON values, paths into them, and schemas that say what is expected of them. Pure."""
