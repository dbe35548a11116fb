"""What goes wrong with a local cloud, for a person."""

from __future__ import annotations

from facematch.errors import Actionable


class LocalCloudError(Actionable):
    """The local cloud cannot do what was asked; the text says why and what to do."""
