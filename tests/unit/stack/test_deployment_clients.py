"""Clients of a deployment."""

from __future__ import annotations

from facematch.stack.deployment import clients_on_aws


def test_a_service_has_one_client_however_often_it_is_asked() -> None:
    make_client = clients_on_aws(profile=None, region="eu-west-1")

    assert make_client("sqs") is make_client("sqs")
    assert make_client("sqs") is not make_client("s3")
