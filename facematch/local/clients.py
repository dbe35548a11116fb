"""Clients of the local cloud, without what it takes to run one: each command needs them."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.utils import parse_timestamp

from facematch.local.emulator.addresses import REGION
from facematch.local.errors import LocalCloudError
from facematch.text import local_command
from facematch.timestamps import parse_quickly

if TYPE_CHECKING:
    from collections.abc import Callable

    from facematch.local.keys import AccessKey
    from facematch.local.state_folder import Running


def local_client(
    running: Running,
    key: AccessKey,
    service: str,
    **options: Any,
) -> Any:  # noqa: ANN401
    """A client of the running local cloud, for 127.0.0.1 only.

    Parameters
    ----------
    key
        The user's.
    options
        Of botocore's Config.
    """
    endpoint = running.rekognition if service == "rekognition" else running.endpoint
    if not endpoint.startswith("http://127.0.0.1:"):
        raise LocalCloudError(
            f"{endpoint} is not on this machine, so nothing was sent there. Start the local cloud "
            f"anew: {local_command('stop')} && {local_command('start')}"
        )
    make: Callable[..., Any] = _session().client
    return make(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        # Neither photographs nor the key go to a proxy that the environment names.
        config=Config(s3={"addressing_style": "path"}, proxies={}, **options),
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
    )


@functools.cache
def _session() -> boto3.session.Session:
    """A session that reads nothing of the user's AWS configuration."""
    nowhere = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    session = botocore.session.Session(nowhere)
    parse_quickly(session, parse_timestamp)
    return boto3.session.Session(botocore_session=session)
