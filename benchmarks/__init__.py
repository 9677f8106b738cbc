"""Benchmarks: what prints figures that can be repeated. ``make bench``, or ``python -m benchmarks --help``."""
