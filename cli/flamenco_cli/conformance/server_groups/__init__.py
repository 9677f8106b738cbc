"""Checks of a Server, which play a Manager; a file per part of manager-api.md."""
