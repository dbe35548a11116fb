"""The command line: one module a command, each from its options to what is printed."""
