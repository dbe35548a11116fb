"""What can be done with a stack. Takes and returns dataclasses, and prints nothing."""
