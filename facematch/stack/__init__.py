"""One deployed stack, and the only room of the command line that asks AWS."""
