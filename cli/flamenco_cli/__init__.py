"""The ``flamenco`` command: verbs on top, groups that run the services, ``up`` and ``demo``."""
