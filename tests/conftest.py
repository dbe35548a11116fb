"""Settings of every test."""

from __future__ import annotations

import os
import sys

from hypothesis import settings

from tests.examples import examples

settings.register_profile("all", deadline=None, max_examples=examples(100))
settings.load_profile("all")

# Containers often forbid bytecode. Each process that a test starts would then compile everything
# that it imports, and a local cloud would take 10 s of CPU to start instead of 3.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
