"""The `lbproxy` command: a module for each of its subcommands."""
