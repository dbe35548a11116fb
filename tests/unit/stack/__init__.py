"""Tests of one deployed stack."""
