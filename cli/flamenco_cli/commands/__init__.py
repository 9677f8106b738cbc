"""A module per group of verbs; ``main`` imports one when its verb is called."""
