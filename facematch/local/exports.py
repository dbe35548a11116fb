"""The environment with which a plain AWS CLI or SDK works on the local cloud."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from facematch.local.emulator.addresses import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from facematch.local.keys import AccessKey
    from facematch.local.state_folder import Running

#: Each would be used in place of, or together with, what is exported.
_IN_THE_WAY: Final = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
    *("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"),
)
_LOOPBACK: Final = "127.0.0.1"


def exports(running: Running, key: AccessKey, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines that a POSIX shell evaluates.

    Parameters
    ----------
    environment
        Of the shell: what leads elsewhere in it is unset.
    """
    exported = {
        "AWS_ENDPOINT_URL": running.endpoint,
        # A configuration file can say that endpoints of the environment do not count.
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
    }
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in environment.get(name, "").split(",") if host]
        exported[name] = ",".join(hosts if _LOOPBACK in hosts else [*hosts, _LOOPBACK])
    elsewhere = {name for name in environment if name.startswith("AWS_ENDPOINT_URL_")}
    yield f"unset {' '.join(sorted({*_IN_THE_WAY, *elsewhere}))}"
    for name, value in exported.items():
        yield f"export {name}={shlex.quote(value)}"
