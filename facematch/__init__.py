"""The command line, and the local cloud behind `--local`."""
