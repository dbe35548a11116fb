"""Every difference between the template on AWS and the same template on this machine.

One table: what it is on AWS, what it is here, and why. Where a difference is made by changing the
template, the table holds the change, and `applied` applies it; ``facematch local differences``
prints it; tests hold it against what really runs.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from facematch.images.limits import DEADLINE_SECONDS, MAX_PIXELS, MAX_SCANS, MIN_SIDE
from facematch.local.emulator.addresses import ACCOUNT, REGION
from facematch.local.emulator.concurrency import (
    MOST_RUNNING_EXECUTIONS,
    SLOTS,
    SLOTS_OTHERWISE,
)
from functions.matching.images import MAX_IMAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Template = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What the differences need to know of this machine.

    Attributes
    ----------
    endpoint, rekognition
        URLs of the emulator and of the Rekognition endpoint.
    """

    endpoint: str
    rekognition: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One difference.

    Attributes
    ----------
    apply
        Changes the template, in place; None when the emulator itself differs.
    """

    what: str
    on_aws: str
    here: str
    why: str
    apply: Callable[[Template, Machine], None] | None = None


#: The account and region are part of the collection's ARN.
_COLLECTION_ARN: Final = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:collection/"
COLLECTION_ID: Final = "FaceMatching-local"
REDELIVERY_SECONDS: Final = 30


def _collection_of_our_endpoint(template: Template, _machine: Machine) -> None:
    collections = _of_type(template, "AWS::Rekognition::Collection")
    names = {name for name, _ in collections}
    for name in names:
        del template["Resources"][name]

    def replaced(value: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, dict):
            if value.get("Ref") in names:
                return COLLECTION_ID
            attribute = value.get("Fn::GetAtt")
            if attribute and attribute[0] in names:
                return _COLLECTION_ARN + COLLECTION_ID
            return {key: replaced(inner) for key, inner in value.items()}
        return [replaced(inner) for inner in value] if isinstance(value, list) else value

    # Where the id is written out, it is a Join over the stack's own id.
    for _, collection in collections:
        _replace(template, collection["Properties"]["CollectionId"], COLLECTION_ID)
    template.update(replaced(template))


def _powertools_of_the_environment(template: Template, _machine: Machine) -> None:
    for _, function in _of_type(template, "AWS::Lambda::Function"):
        function["Properties"].pop("Layers", None)
    template["Parameters"] = {
        name: parameter
        for name, parameter in template.get("Parameters", {}).items()
        if "powertools" not in str(parameter.get("Default", ""))
    }


def _endpoints_of_this_machine(template: Template, machine: Machine) -> None:
    for _, function in _of_type(template, "AWS::Lambda::Function"):
        function["Properties"]["Environment"]["Variables"].update(
            FACEMATCH_LOCAL="1",
            AWS_ENDPOINT_URL=machine.endpoint,
            AWS_ENDPOINT_URL_REKOGNITION=machine.rekognition,
        )


def _no_quota(template: Template, _machine: Machine) -> None:
    for _, function in _of_type(template, "AWS::Lambda::Function"):
        variables = function["Properties"]["Environment"]["Variables"]
        if variables.get("STARTS_PER_SECOND") == "auto":
            variables["STARTS_PER_SECOND"] = "inf"


def _sooner_redelivery(template: Template, _machine: Machine) -> None:
    for _, queue in _of_type(template, "AWS::SQS::Queue"):
        if "VisibilityTimeout" in queue["Properties"]:
            queue["Properties"]["VisibilityTimeout"] = REDELIVERY_SECONDS


def _nobody_to_wake(template: Template, _machine: Machine) -> None:
    for kind in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"):
        for name, _ in _of_type(template, kind):
            del template["Resources"][name]


def _no_traces(template: Template, _machine: Machine) -> None:
    for name, _ in _of_type(template, "AWS::XRay::SamplingRule"):
        del template["Resources"][name]


def _no_named_queries(template: Template, _machine: Machine) -> None:
    for name, _ in _of_type(template, "AWS::Athena::NamedQuery"):
        del template["Resources"][name]


DIFFERENCES: Final = (
    Difference(
        what="Face collection",
        on_aws="an Amazon Rekognition collection, made by CloudFormation",
        here=f"the collection {COLLECTION_ID!r} of our own Rekognition endpoint",
        why="the emulator refuses a template with AWS::Rekognition::Collection",
        apply=_collection_of_our_endpoint,
    ),
    Difference(
        what="Face engine",
        on_aws="Amazon Rekognition",
        here="YuNet and SFace on OpenCV; similarities on a scale like Rekognition's",
        why="Rekognition's models are Amazon's own. Figures found here say nothing about AWS",
    ),
    Difference(
        what="Images that are refused",
        on_aws=f"neither JPEG nor PNG, above {MAX_IMAGE_BYTES:,} bytes, or a side below "
        f"{MIN_SIDE} pixels",
        here=f"also a PNG above {MAX_PIXELS:,} pixels, a JPEG in several scans above as many (half "
        f"as many with all colours), above {MAX_SCANS} scans, or taking more than "
        f"{DEADLINE_SECONDS:.0f} seconds of processor time",
        why="it is this machine that decodes them, and only a JPEG in one scan can be decoded at a "
        "reduced size; AWS names no such limits",
    ),
    Difference(
        what="Powertools",
        on_aws="the public Lambda layer, of the version powertools_version",
        here="the package in the virtual environment, of the pinned version",
        why="the layer's content is on AWS only",
        apply=_powertools_of_the_environment,
    ),
    Difference(
        what="Endpoints of the functions",
        on_aws="those of the region",
        here="127.0.0.1 only; a function refuses to start without them",
        why="nothing may reach the real AWS by accident",
        apply=_endpoints_of_this_machine,
    ),
    Difference(
        what="Pace",
        on_aws="starts_per_second, a little below the region's Rekognition quota",
        here="as many as the machine finishes, unless starts_per_second is set: at most "
        f"{MOST_RUNNING_EXECUTIONS} executions run, the rest waits in the queue",
        why="there is no quota here, and only a closed loop is stable on one machine",
        apply=_no_quota,
    ),
    Difference(
        what="Concurrency of the functions",
        on_aws="as many instances as there are invocations",
        here=", ".join(f"{count} of {name}" for name, count in SLOTS.items())
        + f", {SLOTS_OTHERWISE} of each other; more invocations wait",
        why="each is a process of about 55 MB",
    ),
    Difference(
        what="Redelivery of a message",
        on_aws="after six times the starter's timeout",
        here=f"after {REDELIVERY_SECONDS} seconds",
        why="a person waits for it; here a batch never takes as long",
        apply=_sooner_redelivery,
    ),
    Difference(
        what="Runtime of the functions",
        on_aws="the newest Lambda Python, on arm64",
        here="the Python of the virtual environment, on this processor",
        why="there is no Docker",
    ),
    Difference(
        what="Timeouts and memory of the functions",
        on_aws="enforced",
        here="the timeout is enforced, the memory is not",
        why="as the emulator does",
    ),
    Difference(
        what="Retry",
        on_aws="full jitter, a largest delay of 60 s",
        here="no jitter; the emulator's own largest delay, 60 s",
        why="as the emulator does",
    ),
    Difference(
        what="Timeout of an execution",
        on_aws="one hour, then TIMED_OUT",
        here="none",
        why="as the emulator does",
    ),
    Difference(
        what="Callers",
        on_aws="callers that sign with a key of the account, or have a right without one",
        here="callers that name the access key that was made for this local cloud (facematch local "
        "env); signatures are not checked. Browsers are refused, and so are links without a key, "
        "such as the one to which a custom resource answers",
        why="every process of the machine reaches the ports, and the emulator takes any key for "
        "the account's root",
    ),
    Difference(
        what="Permissions, TLS and encryption",
        on_aws="enforced",
        here="declared and created, not enforced (in tests the functions' roles are: "
        "docs/permissions.md); plain http on 127.0.0.1, which counts as TLS",
        why="as the emulator does by default",
    ),
    Difference(
        what="Logs, metrics and traces",
        on_aws="CloudWatch and X-Ray",
        here="the functions' log groups in the emulator; no metrics from them, no traces "
        "and so no sampling rule",
        why="as the emulator does",
        apply=_no_traces,
    ),
    Difference(
        what="Alarms and dashboard",
        on_aws="CloudWatch alarms, all to the alarm topic; a CloudWatch dashboard",
        here="left out; the alarm topic is there and silent",
        why="there are no metrics to listen to, and the emulator refuses alarms on metric math",
        apply=_nobody_to_wake,
    ),
    Difference(
        what="Named queries",
        on_aws="each query is saved in the Athena workgroup",
        here="left out; facematch query runs the same files",
        why="the emulator refuses a template with AWS::Athena::NamedQuery",
        apply=_no_named_queries,
    ),
    Difference(
        what="Athena",
        on_aws="Athena engine version 3, on the objects in S3; queries are remembered for 45 days",
        here="DuckDB, one query at a time, SELECT on JSON tables only; a parameter is a literal; "
        "no limit of bytes scanned; days of the projection from records_since on, and no last "
        "one; queries are forgotten when the local cloud stops",
        why="Trino's functions are not all there: what the queries use is, and a test checks it",
    ),
    Difference(
        what="E-mail",
        on_aws="sent to subscribers who have confirmed",
        here="not sent; an address that is subscribed counts as confirmed",
        why="nothing leaves this machine",
    ),
    Difference(
        what="Results of a backfill",
        on_aws="written below backfill/ in the output bucket, for 30 days",
        here="not written; DescribeMapRun counts",
        why="the emulator has no ResultWriter",
    ),
    Difference(
        what="Redrive",
        on_aws="resumes an execution at the step that failed",
        here="likewise, but not for one that ended inside a Parallel or Map state",
        why="the emulator has no RedriveExecution; ours leaves these out",
    ),
)


def applied(template: Template, machine: Machine) -> Template:
    """A copy of the template with every difference that is made by changing it."""
    local = copy.deepcopy(template)
    for difference in DIFFERENCES:
        if difference.apply:
            difference.apply(local, machine)
    return local


def _of_type(template: Template, kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [item for item in template["Resources"].items() if item[1]["Type"] == kind]


def _replace(template: Template, wanted: Any, by: str) -> None:  # noqa: ANN401
    """Replace each value that equals `wanted`, wherever it stands."""

    def walk(node: Any) -> Iterator[tuple[Any, Any, Any]]:  # noqa: ANN401
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in list(items):
            yield node, key, value
            if isinstance(value, dict | list):
                yield from walk(value)

    for node, key, value in list(walk(template)):
        if value == wanted:
            node[key] = by
