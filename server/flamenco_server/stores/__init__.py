"""Where the Server's records are: one package per engine, each implements the Protocols that use cases declare."""
