"""Photographs: what one is, what decoding it may cost, and pictures cut out of it."""
