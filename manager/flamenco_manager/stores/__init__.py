"""What the Manager keeps in SQLite. Only ``app.py`` imports this package's engine."""
