"""The two ports of a local cloud: chosen once, kept, and moved when another program has taken one.

The state of the services names them: a queue's URL, the functions' environment, the definitions of
state machines. So a move rewrites what is kept, and nothing is lost by it.
"""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Final

from facematch.files.whole import write_whole
from facematch.local.errors import LocalCloudError
from facematch.text import local_command

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

#: MiniStack's own default, and one beside it.
DEFAULT: Final = (4566, 4567)
FILE: Final = "ports.json"
_PORTS: Final = range(1, 65536)
_TRIED: Final = 200
_BACKLOG: Final = 2048
_ADDRESS: Final = re.compile(rb"(127\.0\.0\.1:)(\d+)")


def listeners(state: Path) -> tuple[socket.socket, socket.socket]:
    """Listen on the ports that the state names, or else on free ones, which it names from then on.

    A socket that listens is nobody else's: two local clouds that start at once cannot choose the
    same port, and a process that ends leaves its port to the one that takes its place.

    Parameters
    ----------
    state
        The local cloud's. Nothing else uses it meanwhile.

    Raises
    ------
    LocalCloudError
        When the file of ports is damaged, or no port is free.
    """
    file = state / FILE
    if not file.exists():
        first = _listening_from(DEFAULT[0])
        second = _listening_from(max(DEFAULT[1], _port(first) + 1))
        state.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps((_port(first), _port(second))))
        return first, second
    ports, before = _read(file)
    _rewrite(state, dict(zip(before, ports, strict=False)))  # a move that was interrupted
    first, second = (_listening(port) or _listening_from(port, apart_from=ports) for port in ports)
    now = (_port(first), _port(second))
    if now != ports:
        write_whole(file, json.dumps((*now, *ports)))
        _rewrite(state, dict(zip(ports, now, strict=True)))
    if now != ports or before:
        write_whole(file, json.dumps(now))
    return first, second


def _read(file: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The two ports; after a move that was not finished also the two from before."""
    try:
        named = json.loads(file.read_text())
        if len(named) in {2, 4} and all(port in _PORTS for port in named):
            return tuple(named[:2]), tuple(named[2:])
    except (ValueError, TypeError):
        pass
    # Not chosen anew: the rest of the state still names the old ones.
    raise LocalCloudError(
        f"The state in {file.parent} is damaged: {file} does not name two ports. Put back a copy "
        "of it, if there is one; otherwise delete everything and begin anew with: "
        f"{local_command('reset')}"
    )


def _rewrite(state: Path, moved: Mapping[int, int]) -> None:
    """Put the new port for the old one in each address that the services' files name."""

    def address(found: re.Match[bytes]) -> bytes:
        port = int(found[2])
        return found[1] + str(moved.get(port, port)).encode()

    for file in (state / "services").glob("*.json") if moved else ():
        kept = file.read_bytes()
        rewritten = _ADDRESS.sub(address, kept)
        if rewritten != kept:
            write_whole(file, rewritten)


def _listening(port: int) -> socket.socket | None:
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    except OSError:
        return None
    # asyncio does so only for sockets that it has made itself. Without it every answer waits 40 ms
    # for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _listening_from(first: int, *, apart_from: Collection[int] = ()) -> socket.socket:
    for port in range(first, min(first + _TRIED, _PORTS.stop)):
        if port not in apart_from and (found := _listening(port)):
            return found
    raise LocalCloudError(
        f"No port from {first} to {first + _TRIED - 1} of 127.0.0.1 is free: stop a program that "
        "uses one."
    )


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port
