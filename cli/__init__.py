"""The command line: what starts the project's processes."""
