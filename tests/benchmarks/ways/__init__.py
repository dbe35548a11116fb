"""What a user would pick instead: scripts that run in `.venv-bench`, one process each."""
