"""What every service stands on: settings, logging, HTTP, SQLite, child processes. Knows nothing of farms."""
