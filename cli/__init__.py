"""The command line, which starts the project's processes."""
