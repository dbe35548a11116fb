"""Tests of the evidence page."""
