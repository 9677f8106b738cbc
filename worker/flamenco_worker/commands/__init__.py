"""One module per command, found by this folder: typed parameters and a function marked with ``@command``."""
