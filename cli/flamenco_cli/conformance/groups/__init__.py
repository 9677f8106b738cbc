"""The checks: a file per group of worker-api.md's sections. A new file here is found by itself."""
