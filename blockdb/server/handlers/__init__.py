"""What each operation does to the database."""
