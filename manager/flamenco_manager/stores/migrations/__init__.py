"""The numbered migrations of the Manager's store, forward only."""
