"""The embedded engine: one SQLite file with group commit (``flamenco_runtime.journal``)."""
