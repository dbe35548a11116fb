"""A record is written unless somebody else was faster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from facematch.errors import Actionable
from facematch.stack.records import Records
from tests.unit.cloud import OUTPUT, deployment_of

if TYPE_CHECKING:
    from tests.unit.cloud import Cloud

KEY = "reports/dt=2026-11-28/1.json"


class Refusing:
    """An S3 client whose every answer is the same refusal."""

    def __init__(self, code: str, status: int) -> None:
        self._code, self._status = code, status

    def __getattr__(self, name: str) -> Any:
        def refuse(**_: Any) -> None:
            response: Any = {
                "Error": {"Code": self._code},
                "ResponseMetadata": {"HTTPStatusCode": self._status},
            }
            raise ClientError(response, name)

        return refuse


def refusing(cloud: Cloud, code: str, status: int) -> Records:
    return Records(deployment_of(cloud, make_client=lambda _: Refusing(code, status)))


def test_a_record_replaces_only_the_one_that_was_read(cloud: Cloud) -> None:
    records = Records(deployment_of(cloud))
    assert records.write(KEY, [{"a": 1}], replaces=None)
    (read,) = records.read_each([KEY])
    assert not records.write(KEY, [{"a": 2}], replaces=None)
    assert records.write(KEY, [{"a": 3}], replaces=read.etag)
    assert not records.rewrite(read)
    assert cloud.records(KEY) == [{"a": 3}]
    assert cloud.s3.head_object(Bucket=OUTPUT, Key=KEY)["ContentType"] == "application/x-ndjson"


def test_a_record_that_was_deleted_meanwhile_is_not_written_again(cloud: Cloud) -> None:
    records = Records(deployment_of(cloud))
    assert records.write(KEY, [{"a": 1}], replaces=None)
    (read,) = records.read_each([KEY])
    records.delete([KEY])
    assert not records.rewrite(read)
    assert records.body(KEY) is None


@pytest.mark.parametrize(
    ("code", "status"),
    [("PreconditionFailed", 412), ("ConditionalRequestConflict", 409), ("412", 412), ("409", 409)],
)
def test_whoever_was_faster_is_known_by_each_of_s3s_names(
    cloud: Cloud, code: str, status: int
) -> None:
    assert not refusing(cloud, code, status).write(KEY, [], replaces=None)
    assert not refusing(cloud, code, status).write(KEY, [], replaces="etag")


def test_a_right_that_is_missing_is_nobody_who_was_faster(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        refusing(cloud, "AccessDenied", 403).write(KEY, [], replaces="etag")


def test_a_register_that_s3_does_not_give_just_now_is_told_with_what_to_do(cloud: Cloud) -> None:
    image = cloud.upload("images/Ann_1.jpg", b"")
    with pytest.raises(Actionable, match=r"SlowDown.*Wait a minute, then repeat the command\."):
        refusing(cloud, "SlowDown", 503).register(image)
