"""The access keys that the emulator issues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from facematch.local.emulator.private_names import functions, values

if TYPE_CHECKING:
    from facematch.local.keys import AccessKey

PRIVATE_NAMES: Final = (
    *functions(
        "ministack.core.lambda_runtime",
        "every access key that is issued is admitted",
        {
            "execution_credentials": ("config",),
        },
    ),
    *functions(
        "ministack.services.lambda_svc",
        "every access key that is issued is admitted",
        {
            "execution_credentials": ("config",),
        },
    ),
    *functions(
        "ministack.services.iam",
        "every access key that is issued is admitted",
        {
            "_gen_access_key_id": (),
        },
    ),
    *functions(
        "ministack.services.sts",
        "every access key that is issued is admitted",
        {
            "_gen_session_access_key": (),
        },
    ),
    *values("ministack.services.sts", "every access key that is issued is admitted", "_sessions"),
)


def issue_admitted_keys(
    key: AccessKey,
    lambda_runtime: Any,  # noqa: ANN401 - a module
    lambda_svc: Any,  # noqa: ANN401
    iam: Any,  # noqa: ANN401
    sts: Any,  # noqa: ANN401
) -> None:
    """Give the functions' workers their key, and begin each access key that is issued with it.

    Under enforced permissions an access key says who calls: the role of a function, or a user. By
    itself the emulator derives a function's from public names, and gives all functions the
    account's number when it enforces nothing.
    """
    credentials = lambda_runtime.execution_credentials

    def of_this_cloud(config: dict[str, Any]) -> dict[str, str]:
        given: dict[str, str] = credentials(config)
        session = sts._sessions.get(given["AWS_ACCESS_KEY_ID"])
        if session is None:
            return {
                **given,
                "AWS_ACCESS_KEY_ID": key.id,
                "AWS_SECRET_ACCESS_KEY": key.secret,
            }
        admitted = key.id + given["AWS_ACCESS_KEY_ID"]
        sts._sessions[admitted] = session
        return {**given, "AWS_ACCESS_KEY_ID": admitted}

    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = of_this_cloud
    user_key, session_key = iam._gen_access_key_id, sts._gen_session_access_key
    iam._gen_access_key_id = lambda: key.id + user_key()
    sts._gen_session_access_key = lambda: key.id + session_key()
