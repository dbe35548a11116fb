"""Deploys a cloud assembly to the emulator: assets, then the template through CloudFormation."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import time
import zipfile
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from facematch.local.differences import COLLECTION_ID, Machine, applied
from facematch.local.emulator.addresses import ACCOUNT, REGION
from facematch.local.errors import LocalCloudError
from facematch.text import local_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_BOOTSTRAP_PARAMETER: Final = "/cdk-bootstrap/hnb659fds/version"
_BOOTSTRAP_VERSION: Final = "30"
_STACK_SECONDS: Final = 60


def deploy(assembly: Path, machine: Machine, client: Callable[[str], Any]) -> str:
    """Deploy the assembly's one stack, or bring it up to date.

    Parameters
    ----------
    client
        Makes a client of the emulator, or for "rekognition" of our endpoint.

    Returns
    -------
    str
        Name of the stack.

    Raises
    ------
    LocalCloudError
        With what CloudFormation said.
    """
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    (stack_id,) = (k for k, v in artifacts.items() if v["type"] == "aws:cloudformation:stack")
    stack = artifacts[stack_id]["properties"]
    name = str(stack.get("stackName", stack_id))
    _make_collection(client("rekognition"))
    _publish_assets(assembly, stack_id, client("s3"))
    client("ssm").put_parameter(
        Name=_BOOTSTRAP_PARAMETER, Value=_BOOTSTRAP_VERSION, Type="String", Overwrite=True
    )
    template = applied(json.loads((assembly / stack["templateFile"]).read_text()), machine)
    body = json.dumps(template, separators=(",", ":")).encode()
    # As the CDK does: CloudFormation takes no more than 51,200 bytes in the call itself.
    address = _resolved(stack["stackTemplateAssetObjectUrl"]).removeprefix("s3://")
    bucket, _, key = address.partition("/")
    client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    with _parameters_as_they_are(client("cloudformation"), client("ssm"), name, template):
        _create_or_update(
            client("cloudformation"),
            name,
            url=f"{machine.endpoint}/{address}",
            digest=hashlib.sha256(body).hexdigest(),
        )
    return name


def _make_collection(rekognition: Any) -> None:  # noqa: ANN401 - a client
    with contextlib.suppress(rekognition.exceptions.ResourceAlreadyExistsException):
        rekognition.create_collection(CollectionId=COLLECTION_ID)


def _publish_assets(assembly: Path, stack_id: str, s3: Any) -> None:  # noqa: ANN401
    assets = json.loads((assembly / f"{stack_id}.assets.json").read_text())
    for asset in assets["files"].values():
        source = assembly / asset["source"]["path"]
        body = _zipped(source) if asset["source"]["packaging"] == "zip" else source.read_bytes()
        for destination in asset["destinations"].values():
            bucket = _resolved(destination["bucketName"])
            # After a kill before the first snapshot the emulator knows its region no more.
            with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
                s3.create_bucket(Bucket=bucket)
            s3.put_object(Bucket=bucket, Key=_resolved(destination["objectKey"]), Body=body)


def _zipped(folder: Path) -> bytes:
    """The folder as a zip file, the same bytes for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _create_or_update(cloudformation: Any, name: str, *, url: str, digest: str) -> None:  # noqa: ANN401
    existing = _describe(cloudformation, name)
    request = {
        "StackName": name,
        "TemplateURL": url,
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        "Tags": [{"Key": "facematch:template", "Value": digest}],
    }
    if existing is None:
        cloudformation.create_stack(**request)
    elif {"Key": "facematch:template", "Value": digest} in existing.get("Tags", []):
        return
    else:
        cloudformation.update_stack(**request)
    stack = _settled(cloudformation, name)
    if stack["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in cloudformation.describe_stack_events(StackName=name)["StackEvents"]
            if event["ResourceStatus"].endswith("FAILED")
        ]
        raise LocalCloudError(
            f"The stack {name} ended {stack['StackStatus']} on the emulator: "
            + ("; ".join(reasons) or str(stack.get("StackStatusReason")))
            + f". Fix these resources in workflow/, or start over: {local_command('reset')}"
        )


@contextlib.contextmanager
def _parameters_as_they_are(
    cloudformation: Any,  # noqa: ANN401 - a client
    ssm: Any,  # noqa: ANN401
    name: str,
    template: Mapping[str, Any],
) -> Iterator[None]:
    """Keep the values of SSM parameters through an update of the stack.

    CloudFormation leaves a resource alone when its properties in the template have not changed.
    The emulator writes every resource again, and so would reset the notify threshold that a person
    has set.
    """
    deployed = _deployed_template(cloudformation, name)
    unchanged = [
        resource["Properties"]["Name"]
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::SSM::Parameter"
        and deployed["Resources"].get(logical_id) == resource
    ]
    found = ssm.get_parameters(Names=unchanged)["Parameters"] if unchanged else []
    yield
    for parameter in found:
        ssm.put_parameter(Name=parameter["Name"], Value=parameter["Value"], Overwrite=True)


def _deployed_template(cloudformation: Any, name: str) -> dict[str, Any]:  # noqa: ANN401
    """The template of the stack as it is; one without resources when there is no stack."""
    if _describe(cloudformation, name) is None:
        return {"Resources": {}}
    body = cloudformation.get_template(StackName=name)["TemplateBody"]
    template: dict[str, Any] = json.loads(body) if isinstance(body, str) else body
    return template


def _settled(cloudformation: Any, name: str) -> dict[str, Any]:  # noqa: ANN401
    deadline = time.monotonic() + _STACK_SECONDS
    while time.monotonic() < deadline:
        stack = _describe(cloudformation, name)
        if stack and not stack["StackStatus"].endswith("IN_PROGRESS"):
            return stack
        time.sleep(0.1)
    raise LocalCloudError(
        f"The stack {name} was not ready on the emulator within {_STACK_SECONDS} s. Repeat the "
        f"command when the machine is less busy, or begin anew with: {local_command('reset')}"
    )


def _describe(cloudformation: Any, name: str) -> dict[str, Any] | None:  # noqa: ANN401
    try:
        stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return None
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


def _resolved(text: str) -> str:
    for token, value in {
        "${AWS::AccountId}": ACCOUNT,
        "${AWS::Region}": REGION,
        "${AWS::Partition}": "aws",
    }.items():
        text = text.replace(token, value)
    return text
