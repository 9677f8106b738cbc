"""The Manager's HTTP side: the worker protocol, and a few answers for people's tools."""
