"""The edge: the domain's words on one side, calls to AWS services on the other."""
