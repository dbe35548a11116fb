"""What is deployed: one construct a file, named after what it is."""
