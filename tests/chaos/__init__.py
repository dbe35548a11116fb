"""Runs under fault plans, each compared with a clean run."""
