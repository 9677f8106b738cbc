"""The Worker: one process per machine, N slots, each of which runs one task at a time."""
