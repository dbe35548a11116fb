"""Files and folders of this machine: photographs to read, folders of our own, tables."""
