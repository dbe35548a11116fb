"""Tests of settings and of synthesis, as far as they need no CDK."""
