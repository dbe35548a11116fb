"""Measurements, as commands: nothing here is run by the tests."""
