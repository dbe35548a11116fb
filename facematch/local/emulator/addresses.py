"""Where the emulated services are."""

from __future__ import annotations

from typing import Final

REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"


class Loopback:
    """Where every request comes from: this machine. Plain http counts as TLS on the way.

    So the policies that deny whatever comes without TLS stay as they are, and are kept.
    """

    def get(self) -> tuple[str, bool]:
        """The address, and whether the transport is secure."""
        return "127.0.0.1", True

    def set(self, origin: tuple[str, bool]) -> None:
        """Stay as it is, whatever a request says."""
