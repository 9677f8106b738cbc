"""Judges whether a Manager speaks the worker protocol as it is written: plays a Flamenco 3 Worker, call by call.

``check`` declares checks; a file of ``groups`` holds those of a section or two; ``judging`` runs them.
"""
