"""Checks of a Manager, which play a Server; a file per part of manager-api.md."""
