"""HTTP: one file per noun. Handlers read a request, call a use case, and write what it returns; no rules live here."""
