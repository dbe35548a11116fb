"""The evidence page: a folder with an index.html, on which a person judges pairs of records."""
