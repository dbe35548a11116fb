"""Settings of every test."""

from __future__ import annotations

from hypothesis import settings

from tests.examples import examples

settings.register_profile("all", deadline=None, max_examples=examples(100))
settings.load_profile("all")
