"""A deployed stack, on AWS or on the local cloud: its outputs, and clients for it."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.utils import parse_timestamp

from facematch.errors import Actionable, Unusable
from facematch.stack.errors import explained
from facematch.text import command, local_command
from facematch.timestamps import parse_quickly
from functions.matching.identity import compiled_names_from
from functions.matching.settings import regional_starts_per_second, similarity
from workflow.outputs import Output

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from facematch.local.keys import AccessKey
    from facematch.local.state_folder import Running, StateFolder

DEFAULT_STACK_NAME: Final = "FaceMatching"
#: There is no quota on one machine.
_LOCAL_STARTS_PER_SECOND: Final = 1000.0
#: Parallel requests of uploads and downloads.
PARALLEL: Final = 16


class DeploymentNotFound(Unusable):
    """There is no such stack; the text says where it was looked for and what to do."""


class Outputs(dict[str, str]):
    """Outputs of a stack by their names; one that is missed says so in a sentence."""

    def __init__(self, stack: dict[str, Any]) -> None:
        super().__init__((o["OutputKey"], o["OutputValue"]) for o in stack.get("Outputs", []))
        self._stack = f"{stack['StackName']} ({stack['StackStatus']})"

    def __missing__(self, name: str) -> str:
        raise DeploymentNotFound(
            f"The stack {self._stack} has no output {name!r}, so it is not of this project, not "
            "deployed yet, or older than this version. Deploy it again (make deploy), or name "
            "another with --stack."
        )


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployed stack.

    Attributes
    ----------
    outputs
        Of the CloudFormation stack, by name (`workflow.outputs`).
    make_client
        A client of an AWS service, for this deployment's place and credentials; only for `stack`,
        which asks AWS for all other rooms.
    options
        Of the command line, by which another command finds the same place and credentials on AWS.
    kept_in
        The folder in which a local cloud keeps everything; None on AWS.
    """

    stack_name: str
    local: bool
    outputs: dict[str, str]
    make_client: Callable[[str], Any]
    options: tuple[str, ...] = ()
    kept_in: Path | None = None

    def command(self, *words: str) -> str:
        """A command about this deployment, ready to paste."""
        place = ["--local"] if self.local else [*self.options]
        if not self.local and self.stack_name != DEFAULT_STACK_NAME:
            place += ["--stack", self.stack_name]
        return command(*words, *place, local=self.local)

    def shortage(self, sizes: Sequence[int]) -> str | None:
        """Tell that photographs of these sizes, bytes, do not fit; None when they do.

        Only the disk of a local cloud ever gets full.
        """
        if self.kept_in is None or not sizes:
            return None
        from facematch.local.free_space import BESIDE_A_PHOTOGRAPH, shortage  # noqa: PLC0415 - as in on_local_cloud

        return shortage(self.kept_in, sum(sizes) + len(sizes) * BESIDE_A_PHOTOGRAPH)

    @property
    def images_bucket(self) -> str:
        """Where photographs are uploaded."""
        return self.outputs[Output.IMAGES_BUCKET]

    @property
    def image_prefix(self) -> str:
        """Only keys below it start the workflow."""
        return self.outputs[Output.IMAGE_PREFIX].removeprefix("/")

    @property
    def output_bucket(self) -> str:
        """Where reports, the rows beside them and failure records are."""
        return self.outputs[Output.OUTPUT_BUCKET]

    @property
    def state_machine_arn(self) -> str:
        """Of the workflow."""
        return self.outputs[Output.STATE_MACHINE]

    @property
    def removal_state_machine_arn(self) -> str:
        """Of the state machine that takes out what left the bucket."""
        return self.outputs[Output.REMOVAL_STATE_MACHINE]

    @property
    def backfill_state_machine_arn(self) -> str:
        """Of the state machine that sends what the bucket held already."""
        return self.outputs[Output.BACKFILL_STATE_MACHINE]

    @property
    def queue_url(self) -> str:
        """Of the intake queue, from which executions are started."""
        return self.outputs[Output.QUEUE]

    @property
    def dead_letter_queue_url(self) -> str:
        """Of the queue for messages that could not be understood."""
        return self.outputs[Output.DEAD_LETTER_QUEUE]

    @property
    def collection_id(self) -> str:
        """Of the face collection."""
        return self.outputs[Output.COLLECTION]

    @property
    def analytics_database(self) -> str:
        """Of Athena's tables, in the Glue Data Catalog."""
        return self.outputs[Output.ANALYTICS_DATABASE]

    @property
    def analytics_workgroup(self) -> str:
        """Athena's workgroup, which says where results go and what a query may cost."""
        return self.outputs[Output.ANALYTICS_WORKGROUP]

    @property
    def names_from(self) -> re.Pattern[str]:
        """Reads names and record ids from keys."""
        return compiled_names_from(self.outputs[Output.NAME_PATTERN])

    @property
    def starts_per_second(self) -> float:
        """At which executions are started, and replays with them."""
        text = self.outputs[Output.STARTS_PER_SECOND]
        if text != "auto":
            return float(text)
        if self.local:
            return _LOCAL_STARTS_PER_SECOND
        region = self.state_machine_arn.split(":")[3]
        return regional_starts_per_second(region, int(self.outputs[Output.MAX_FACES]))

    @property
    def pace(self) -> float | None:
        """Executions that the starters start in a second; None where they start all at once.

        That is the local cloud, which has no quota, unless `starts_per_second` sets one.
        """
        unpaced = self.local and self.outputs[Output.STARTS_PER_SECOND] == "auto"
        return None if unpaced else self.starts_per_second

    def notify_threshold(self) -> float:
        """The threshold as it is now, %."""
        parameter = self.make_client("ssm").get_parameter(
            Name=self.outputs[Output.NOTIFY_THRESHOLD]
        )
        try:
            return similarity(parameter["Parameter"]["Value"])
        except ValueError as error:
            raise Actionable(
                f"The SSM parameter {parameter['Parameter']['Name']} cannot be used: {error}. Set "
                "it to the lowest similarity that notifies."
            ) from None

    def caller(self) -> str:
        """Return the ARN of the identity that the credentials belong to."""
        return str(self.make_client("sts").get_caller_identity()["Arn"])


def on_aws(*, stack_name: str, profile: str | None, region: str | None) -> Deployment:
    """The stack in the account and region of the user's credentials.

    Raises
    ------
    DeploymentNotFound
        When there is none in that region of that account.
    Actionable
        When AWS could not be asked for it, or refused.
    """
    try:
        make_client = clients_on_aws(profile=profile, region=region)
        outputs = _outputs(make_client("cloudformation"), stack_name)
    except (BotoCoreError, ClientError) as error:
        said = explained(error)
        place = " For the local cloud add --local." if isinstance(said, Unusable) else ""
        raise type(said)(f"The stack {stack_name!r} was not reached. {said}{place}") from None
    return Deployment(
        stack_name=stack_name,
        local=False,
        outputs=outputs,
        make_client=make_client,
        options=tuple(
            word
            for option, value in (("--profile", profile), ("--region", region))
            if value
            for word in (option, value)
        ),
    )


def clients_on_aws(
    *, profile: str | None, region: str | None, attempts: int = 5
) -> Callable[[str], Any]:
    """Return what makes clients with the user's credentials, one for each service.

    No stack is needed.

    Parameters
    ----------
    attempts
        At a request that AWS throttles or that fails.
    """
    config = Config(
        max_pool_connections=PARALLEL, retries={"mode": "standard", "total_max_attempts": attempts}
    )
    # The AWS CLI and the CDK read AWS_REGION, and boto3 does not.
    region = region or os.environ.get("AWS_REGION")
    own = botocore.session.get_session()
    parse_quickly(own, parse_timestamp)
    session = boto3.session.Session(profile_name=profile, region_name=region, botocore_session=own)
    make: Callable[..., Any] = session.client
    return functools.cache(lambda service: make(service, config=config))


def on_this_machine() -> Deployment:
    """The stack on the local cloud that runs.

    Raises
    ------
    DeploymentNotFound
        When none runs.
    """
    from facematch.local.state_folder import StateFolder  # noqa: PLC0415 - as in on_local_cloud

    running, _ = running_here()
    return on_local_cloud(running, StateFolder.default())


def on_local_cloud(running: Running, home: StateFolder) -> Deployment:
    """The stack on a local cloud that keeps everything in that folder."""
    # Only here: what is deployed on AWS needs neither the emulator nor its dependencies.
    from facematch.local.clients import local_client  # noqa: PLC0415
    from facematch.local.keys import AccessKeys  # noqa: PLC0415

    key = AccessKeys.read(home.keys).user
    return Deployment(
        stack_name=running.stack_name,
        local=True,
        outputs=_outputs(local_client(running, key, "cloudformation"), running.stack_name),
        make_client=functools.cache(
            lambda service: local_client(running, key, service, max_pool_connections=PARALLEL)
        ),
        kept_in=home.folder,
    )


def running_here() -> tuple[Running, AccessKey]:
    """Return where the local cloud is found, and the user's access key of it.

    Raises
    ------
    DeploymentNotFound
        When none runs.
    """
    from facematch.local.keys import AccessKeys  # noqa: PLC0415
    from facematch.local.state_folder import StateFolder  # noqa: PLC0415

    home = StateFolder.default()
    running = home.running()
    if running is None:
        raise DeploymentNotFound(
            f"No local cloud is running in {home.folder}. Start it: {local_command('start')}"
        )
    return running, AccessKeys.read(home.keys).user


def described(cloudformation: Any, stack_name: str) -> dict[str, Any] | None:  # noqa: ANN401 - a client
    """Describe the stack; None if there is none of that name."""
    try:
        stack: dict[str, Any] = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return None
    return stack


def _outputs(cloudformation: Any, stack_name: str) -> Outputs:  # noqa: ANN401 - a client
    if stack := described(cloudformation, stack_name):
        return Outputs(stack)
    raise DeploymentNotFound(
        f"There is no stack {stack_name!r} in the region {cloudformation.meta.region_name} of "
        "the account that these credentials belong to. Deploy it (make deploy), or name it "
        "with --stack, --profile and --region; for the local cloud add --local."
    )
