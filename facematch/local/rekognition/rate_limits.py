"""How a service counts calls against a quota, as far as is known."""

from __future__ import annotations


class TokenBucket:
    """Admits `per_second` calls, and up to `burst` at once after a pause; times in seconds."""

    def __init__(self, per_second: float, burst: float, *, now: float = 0.0) -> None:
        self._per_second = per_second
        self._burst = self._tokens = max(1.0, burst)
        self._then = now

    def admits(self, now: float) -> bool:
        """Whether a call at `now` gets through; times never go backwards."""
        tokens = self._tokens + (now - self._then) * self._per_second
        self._then = now
        tokens = min(tokens, self._burst)
        if tokens < 1:
            self._tokens = tokens
            return False
        self._tokens = tokens - 1
        return True
