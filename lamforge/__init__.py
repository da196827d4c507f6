"""The command: one short file per subcommand, no logic."""
