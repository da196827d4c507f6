"""The command: one file a subcommand, from flags to a request and from a result to a renderer."""
