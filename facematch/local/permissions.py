"""Whether a caller may do something: its role's policies, as the emulator knows them.

The emulator enforces the roles of its own callers when it is told to. Our Rekognition endpoint is
a process beside it, so it asks: `PolicyDesk` answers in the emulator's process, `Permissions` asks
in the endpoint's. Both use the emulator's one evaluator, so that a policy means the same to each.
"""

from __future__ import annotations

import json
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse

from facematch.local.loopback_guard import access_key_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from facematch.local.keys import AccessKey

_PATH: Final = "/_facematch/refusal"
_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is refused: AWS's name for the error, and its sentence."""

    code: str
    message: str


class PolicyDesk:
    """In front of the emulator: answers one more address, and passes everything else on.

    Parameters
    ----------
    app
        The emulator's ASGI application.
    enforce
        Its own check of a caller: None when the call is allowed, else what it would answer with.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        enforce: Callable[..., Any],
        *,
        region: str,
    ) -> None:
        self._app = app
        self._enforce = enforce
        self._region = region

    async def app(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Serve."""
        if scope["type"] != "http" or scope["path"] != _PATH:
            await self._app(scope, receive, send)
            return
        asked = QueryParams(scope["query_string"])
        answer = self._refusal(asked["access_key"], asked["action"], asked["resource"])
        await JSONResponse(answer)(scope, receive, send)

    def _refusal(self, access_key: str, action: str, resource: str) -> dict[str, str] | None:
        service = action.partition(":")[0]
        refused = self._enforce(access_key, action, service, self._region, resource)
        if refused is None:
            return None
        if hasattr(refused, "code"):  # the caller is nobody: no policy was looked at
            return {"code": refused.code, "message": refused.message}
        return {
            "code": "AccessDeniedException",
            "message": f"User: {refused.principal_arn} is not authorized to perform: {action} "
            f"on resource: {resource} because no identity-based policy allows the {action} action",
        }


class Permissions:
    """What the callers of one emulator may do.

    The access key is taken at its word, the signature is not checked: that is the emulator's
    business, and what is proven here are roles, not keys.

    Parameters
    ----------
    endpoint
        URL of the emulator.
    key
        The key with which it is asked.
    """

    def __init__(self, endpoint: str, key: AccessKey) -> None:
        self._url = f"{endpoint}{_PATH}"
        self._key = key

    def refusal(self, authorization: str, action: str, resource: str) -> Refusal | None:
        """Why the caller may not do this; None when it may.

        Parameters
        ----------
        authorization
            The header of the caller's signed request.
        action, resource
            As a policy names them; the resource by its ARN.
        """
        key = access_key_id(authorization.encode("latin-1"))
        if not key:  # which the emulator would take for root
            return Refusal(
                "MissingAuthenticationTokenException", "Request is missing Authentication Token"
            )
        question = urllib.parse.urlencode(
            {"access_key": key, "action": action, "resource": resource}
        )
        refused = json.loads(self._key.ask(f"{self._url}?{question}", seconds=_SECONDS))
        return Refusal(**refused) if refused else None
