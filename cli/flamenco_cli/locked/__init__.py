"""Lock files, with hashes, of the programs that ``flamenco demo`` installs from PyPI where there are none."""
