"""Every failure message says what happened, to which object, and what to do.

The messages are collected out of the code, so that a new one is covered as soon as it is there.
`OTHERS` lists the errors that nobody reads as they are, each with who says it in a sentence.
"""

from __future__ import annotations

import ast
import errno
import functools
import json
import re
import signal
import sys
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Final

import botocore.session
import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError

from facematch.cli import main as cli
from facematch.cli.main import status_of
from facematch.errors import about_file
from facematch.evidence import folders
from facematch.stack.errors import explained
from functions.matching.errors import ImageRejected, Reason
from functions.matching.failures import Failure, FailureStatus, failure_record
from functions.matching.identity import FROM_FILE, compiled_names_from
from functions.matching.images import UploadedImage
from workflow.project import PROJECT
from workflow.settings import SETTINGS, SettingError, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Whole sentences, which are printed as they are; subclasses too.
SPOKEN: Final = {
    "Actionable",
    "SettingError",
    "SynthesisError",
    "ModelFilesError",
    "_CannotStartError",
}
#: What prints a sentence or raises one: functions, and the error class of a kind of folder.
SPEAKING: Final = {"fail", "BadParameter", "refuses_with"}
#: What is wrong, of a thing that is named, with a remedy that is added in one place.
PARTS: Final = {
    "QueryError": "facematch.operations.query adds: mend it as docs/queries.md says",
    "MessageNotUnderstood": "the starter's log adds the message's id, and what to do",
}
#: Packages whose modules have their errors in common.
ROOMS: Final = ("functions", "facematch.cli", "facematch.local.rekognition")
#: Errors that are not for people, by the module or room and the class: who catches or says them.
OTHERS: Final = {
    ("workflow.changes", "ValueError"): "operations.deploy quotes it in a sentence",
    ("functions", "ImageRejected"): "the failure record makes the sentence, out of the reason",
    ("functions", "Unavailable"): "retried; then the failure record has it as its cause",
    ("functions", "ExecutionUnreadable"): "ends in the queue Undelivered, which has an alarm",
    ("functions", "ReplayNamesUsedUp"): "a dead letter then, which has an alarm",
    ("functions", "CollectionFull"): "the failure record makes the sentence",
    ("functions", "FaceNotFound"): "the search step makes it Unavailable",
    ("functions", "RuntimeError"): "a local cloud that would call AWS; a bug, so a traceback",
    ("functions", "ValueError"): "a bug or a broken record; the failure record's cause",
    ("functions", "TypeError"): "caught where a message or an input is read",
    ("workflow.settings", "ValueError"): "what is allowed: SettingError puts it into a sentence",
    ("facematch.cli", "Exit"): "the lines that were printed say it",
    ("facematch.stack.deployment", "type"): "explained() with the stack in front",
    ("facematch.stack.objects", "explained"): "a whole sentence",
    ("facematch.stack.objects", "NotDelivered"): "the page is written without the picture",
    ("facematch.stack.executions", "NotRedrivable"): "the reason why a replay restarts",
    ("facematch.stack.executions", "NameTaken"): "a replay takes the next name",
    ("facematch.stack.executions", "Refused"): "the outcome of a replay",
    (
        "facematch.operations.query",
        "ValueError",
    ): "the command says which parameter is of the wrong type",
    ("facematch.local.emulator.forks", "TimeoutExpired"): "MiniStack then kills the process",
    ("facematch.local.package_index", "NotFetched"): "PhotographsUnavailable has it as its reason",
    (
        "facematch.files.photographs",
        "_explained",
    ): "about_file() says it, or the photograph takes no part",
    ("facematch.planning.prices", "ValueError"): "PricesUnusable names the file and the price",
    ("facematch.evidence.pictures", "_NoPictureError"): "the page is written without the picture",
    ("facematch.images.limits", "InvalidImageFormatError"): "each caller has its own words",
    ("facematch.images.limits", "ImageTooLargeError"): "each caller has its own words",
    ("facematch.images.limits", "TooCostlyError"): "each caller has its own words",
    ("facematch.images.cropping", "InvalidImageFormatError"): "the picture is left out",
    ("facematch.local.rekognition", "InvalidImageFormatError"): "becomes Rekognition's own error",
    ("facematch.local.rekognition", "ImageTooSmallError"): "becomes Rekognition's own error",
    ("facematch.local.rekognition", "PageTokenError"): "becomes Rekognition's own error",
    ("facematch.local.rekognition", "OtherModelError"): "the endpoint says what to do",
    ("facematch.local.rekognition", "CollectionExistsError"): "becomes Rekognition's own error",
    ("facematch.local.rekognition", "CollectionNotFoundError"): "becomes Rekognition's own error",
    ("facematch.local.rekognition", "FaceNotFoundError"): "becomes Rekognition's own error",
    ("facematch.local.rekognition", "RekognitionError"): "AWS's own words, as the service answers",
    ("facematch.local.rekognition", "_image_too_large"): "AWS's own words",
    ("facematch.local.rekognition", "_invalid_parameter"): "AWS's own words",
    ("facematch.local.rekognition", "_internal_error"): "AWS's own words",
    ("facematch.local.rekognition", "ValueError"): "JSON's own rule: becomes AWS's own words",
    ("facematch.local.rekognition", "_invalid_image_format"): "AWS's own words, and a reason",
    ("facematch.local.rekognition", "ArgumentTypeError"): "argparse adds the option and the usage",
    ("facematch.local.emulator.disk", "OSError"): "becomes S3's own error",
    (
        "facematch.local.emulator.athena",
        "ValueError",
    ): "Athena's own words, as the reason of a query",
    ("facematch.local.emulator.redrive", "_ExecutionError"): "Step Functions' own words",
    ("facematch.local.emulator.distributed_map", "_ExecutionError"): "Step Functions' own words",
    ("facematch.local.faults", "ValueError"): "PlanError names the file",
}
#: Sentences that are handed on whole, by the expression.
HANDED_ON: Final = {
    "said": "explained(), about_file() and synthesise() are looked at here",
    "str(said)": "explained() is looked at here",
    "refusal": "lack_of_collections() names regions to deploy to",
    "empty": "no_photographs() says what to do, on two lines",
    "str(error)": "an error that is looked at where it is raised",
    "str(about_file(error))": "about_file() is looked at here",
}
#: Sentences whose remedy is a placeholder's.
REMEDY_WITHIN: Final = {
    "{explained(error)}{hint}": "explained() has one for every error",
    "AWS refused {error.operation_name} ({code}): {said.rstrip('.')}. {remedy}": "_REMEDIES",
    "AWS could not be asked: {said}. {remedy}": "a match with a last case",
    "The query ended {status['State']}: {reason.rstrip('.')}. {hint}": "_RIGHTS or _MEND",
    "Setting: {error}": "SettingError says what is allowed",
    "{error}.": "similarity() gives the right figure",
}

#: With which a sentence, or a part of one, may begin that says what to do.
_VERBS: Final = (
    "add|allowed|ask|begin|check|choose|compare|convert|copy|delete|deploy|end|find|fix|give|import|"
    "install|leave|let|look|lower|mend|move|name|nothing|read|redrive|reinstall|rename|repeat|"
    "replay|restore|roll|say|scale|see|set|shorten|sign|start|stop|upload|use|wait|write"
)
_DOES: Final = re.compile(
    rf"(?:^|[.:;?!]\s+|\n|, then |, or |, and |\bor |\bthen )(?:{_VERBS})\b",
    re.IGNORECASE,
)
_COMMAND: Final = re.compile(r"\b(facematch|make|pip|kill) [a-z-]|--[a-z]")
_ENDS: Final = re.compile(
    r"\.$"
    # A command, or a list that the code makes: nothing follows that could be taken for a part.
    r"|\b(?:facematch|make|kill|pip) (?:\{[^}]*\}|[^.{])*$|--[a-z]+ (?:\{[^}]*\}|[^.{])*$"
    r"|:\n *(?:\{[^}]*\})+$"
)
_THINGS: Final = re.compile(
    r"\{|--[a-z]|local cloud|evidence page|face worker|Athena|AWS|column|replay|alarm|setting"
)
_NEVER: Final = re.compile(
    r"\binvalid\b|error occurred|went wrong|\bfailed to\b|unable to|traceback|\bplease\b|\boops\b|"
    r"__name__|repr\(|(?-i:\b[A-Z]\w+(?:Error|Exception)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Found:
    """An error in the code: where, of which class, and its text with its placeholders."""

    module: str
    line: int
    kind: str
    text: str | None
    source: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.kind}: {self.text or self.source}"


@functools.cache
def trees() -> dict[str, ast.Module]:
    return {
        ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): (
            ast.parse(path.read_text())
        )
        for package in ("facematch", "functions", "workflow")
        for path in sorted((PROJECT / package).rglob("*.py"))
    }


@functools.cache
def spoken() -> frozenset[str]:
    """`SPOKEN`, and every class that is made of one."""
    bases: defaultdict[str, set[str]] = defaultdict(set)
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases[node.name] |= {called(base) for base in node.bases}
    known = set(SPOKEN)
    while more := {name for name, above in bases.items() if above & known} - known:
        known |= more
    return frozenset(known)


def called(node: ast.expr) -> str:
    """The last name of `a.b.c` or of a call of it."""
    if isinstance(node, ast.Call):
        return called(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def text_of(node: ast.expr, module: ast.Module) -> str | None:
    """The text, what is filled in as `{its source}`; None when it is not written there."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(
                (_hint(part.value) or f"{{{ast.unparse(part.value)}}}")
                if isinstance(part, ast.FormattedValue)
                else (text_of(part, module) or "")
                for part in parts
            )
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return "".join(text_of(side, module) or "{...}" for side in (left, right))
        case ast.Call() if hint := _hint(node):
            return hint
        case ast.Call(func=ast.Name(id=name)):
            for other in module.body:
                if isinstance(other, ast.FunctionDef) and other.name == name:
                    returned = [n.value for n in ast.walk(other) if isinstance(n, ast.Return)]
                    return text_of(returned[-1], module) if returned and returned[-1] else None
    return None


def _hint(node: ast.AST) -> str | None:
    """The command that the code makes for people to run, without its place."""
    if not isinstance(node, ast.Call) or called(node) not in {"command", "local_command"}:
        return None
    local = ["local"] if called(node) == "local_command" else []
    words = [word.value for word in node.args if isinstance(word, ast.Constant)]
    return " ".join(["facematch", *local, *map(str, words)])


@functools.cache
def calls() -> tuple[Found, ...]:
    """Every call of a class or function whose text people read, wholly or in part."""
    of_interest = spoken() | SPEAKING | set(PARTS)
    return tuple(
        Found(
            module,
            node.lineno,
            called(node),
            text_of(node.args[0], tree) if node.args else None,
            ast.unparse(node.args[0]) if node.args else "",
        )
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) in of_interest
    )


def sentences() -> list[Found]:
    return [f for f in calls() if f.kind not in PARTS and f.source not in HANDED_ON]


def test_there_is_something_to_read() -> None:
    kinds = {found.kind for found in calls()}
    assert {"fail", "Unusable", "LocalCloudError", "SettingError", "NotDecisions"} <= kinds
    assert len(sentences()) > 60


def test_every_error_is_a_sentence_or_somebody_says_it_in_one() -> None:
    unknown, known = [], set()
    for module, tree in trees().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            kind = called(node.exc)
            makes = text_of(node.exc, tree) is not None or kind in _makers(tree)
            if kind in spoken() | SPEAKING | set(PARTS) or makes:
                continue
            of = next((room for room in ROOMS if module.startswith(f"{room}.")), module)
            known.add((of, kind))
            if (of, kind) not in OTHERS:
                unknown.append(f"{module}:{node.lineno} {ast.unparse(node.exc)}")
    assert unknown == []
    assert set(OTHERS) <= known, "a line of OTHERS is of no use any more"


def _makers(tree: ast.Module) -> set[str]:
    """Functions of the module that return an error with a sentence."""
    return {
        function.name
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Return)
        and isinstance(node.value, ast.Call)
        and called(node.value) in spoken()
    }


@pytest.mark.parametrize("found", sentences(), ids=str)
def test_a_message_says_what_happened_to_what_and_what_to_do(found: Found) -> None:
    assert found.text is not None, "its text is not where it is raised: add it to HANDED_ON"
    complain_about(found.text)


def complain_about(text: str) -> None:
    """Fail unless the sentence has its three parts."""
    assert _THINGS.search(text), f"names nothing: {text}"
    assert not _NEVER.search(text), f"{_NEVER.search(text)}: {text}"
    if text in REMEDY_WITHIN:
        return
    assert _DOES.search(text) or _COMMAND.search(text), f"says not what to do: {text}"
    assert _ENDS.search(text), f"does not end: {text}"


@pytest.mark.parametrize("found", [f for f in calls() if f.kind in PARTS], ids=str)
def test_a_part_of_a_message_says_what_is_wrong(found: Found) -> None:
    assert found.text
    assert not _NEVER.search(found.text)
    assert found.text.startswith(("it ", "{"))  # it: the message; else the file or the query


#: What a person's name stands in.
_NAMES: Final = re.compile(
    r"\b(key|name|names|uri|body|external_image_id|external_id|image|removal|record|event|"
    r"execution_arn|execution_input|execution_name|str\(error\)|error)\b(?!_id|_digest)"
)
#: Placeholders of errors and log lines of the functions that have no name in them, and why.
_NAMELESS: Final = {
    "error_code(error)": "the service's word for it",
    "error.operation_name": "the API's word for it",
    "type(error).__name__": "of the error's class",
    "image.digest": "a digest",
    "image.size": "a number",
    "removal.digest": "a digest",
    "record.message_id": "of the message in the queue",
    "variable": "of the environment",
}
#: Errors of the functions that quote another error or a key, and why there is no name in them.
_QUOTES: Final = {
    ("functions.aws.buckets", "key"): "of a decision, which is a digest of the names",
    ("functions.aws.buckets", "error"): "functions.matching.decisions quotes no name",
    ("functions.aws.parameters", "error"): "of the threshold, which is a number",
    ("functions.aws.events", "error"): "KeyError of a field that we ask for",
    ("functions.matching.images", "error"): "KeyError of a field that we ask for",
    ("functions.matching.images", "type(error).__name__"): "of the error's class",
    ("functions.matching.identity", "error"): "of the pattern, which is a setting",
    ("functions.matching.settings", "error"): "of a setting",
    ("functions.search", "str(error)"): "FaceNotFound has the face's id",
    ("functions.starter", "str(error)"): "MessageNotUnderstood, which is read above",
}


def test_neither_errors_nor_logs_of_the_functions_fill_in_a_name() -> None:
    filled = []
    for module, tree in trees().items():
        if not module.startswith("functions"):
            continue
        for node in ast.walk(tree):
            logged = isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logger.")
            if not logged and not isinstance(node, ast.Raise):
                continue
            assert isinstance(node, ast.Call | ast.Raise)
            whole = node if isinstance(node, ast.Call) else node.exc
            if not isinstance(whole, ast.Call):
                continue
            values = [n.value for n in ast.walk(whole) if isinstance(n, ast.FormattedValue)]
            values += [k.value for k in whole.keywords]
            values += [a for a in whole.args if not isinstance(a, ast.JoinedStr)]
            for value in values:
                source = ast.unparse(value)
                if isinstance(value, ast.Constant) or source in _NAMELESS:
                    continue
                if _NAMES.search(source) and (module, source) not in _QUOTES:
                    filled.append(f"{module}:{node.lineno} {source}")
    assert filled == []


IMAGE: Final = UploadedImage(
    bucket="images",
    key="images/Ann_Lee_0001.jpg",
    version_id="v1",
    etag="e1",
    size=1,
    last_modified=datetime(2026, 1, 2, tzinfo=UTC),
)


def retried_errors() -> list[str]:
    """What the state machine retries, without the time that importing the CDK takes."""
    (listed,) = (
        node.value
        for node in ast.walk(trees()["workflow.step"])
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "TRANSIENT_ERRORS"
    )
    assert isinstance(listed, ast.Tuple)
    texts = [ast.unparse(item).strip("'").removesuffix(".__name__") for item in listed.elts]
    assert "Unavailable" in texts
    return texts


def recorded(status: FailureStatus, error: str | None, cause: str | None = None) -> dict[str, Any]:
    failure = Failure(
        status=status,
        step="IndexFaces",
        error=error,
        cause=cause,
        execution_arn="arn",
        failed_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return failure_record(IMAGE, failure, names_from=compiled_names_from(FROM_FILE))


RECORDS: Final = {
    **{
        reason: recorded(
            FailureStatus.REJECTED, ImageRejected.__name__, f"{reason} {IMAGE.digest} 7 bytes"
        )
        for reason in [*Reason, "ANOTHER_REASON"]
    },
    **{
        error: recorded(FailureStatus.FAILED, error)
        for error in [*retried_errors(), "AccessDeniedException", "ClientError", "KeyError"]
    },
    **{
        status: recorded(status, None)
        for status in FailureStatus
        if status is not FailureStatus.REJECTED
    },
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_a_failure_record_says_what_happened_to_which_object_and_what_to_do(
    record: dict[str, Any],
) -> None:
    assert IMAGE.uri in record["message"]
    assert record["message"].endswith(".")
    assert record["remedy"].endswith(".")
    assert _DOES.search(record["remedy"])
    complain_about(f"{{image}} {record['message'].removeprefix(IMAGE.uri)} {record['remedy']}")


@pytest.mark.parametrize("error", retried_errors())
def test_what_the_machine_retries_is_not_recorded_as_a_bug(error: str) -> None:
    assert "mend the function" not in RECORDS[error]["remedy"]


def written_in(module: str, function: str, argument: int) -> list[str]:
    """The texts that a module hands to a function."""
    tree = trees()[module]
    found = [
        text_of(node.args[argument], tree)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) == function
    ]
    assert found
    assert None not in found
    return [text for text in found if text]


@pytest.mark.parametrize("text", written_in("workflow.alarms", "_alarm", 2))
def test_an_alarm_says_what_happened_and_what_to_do(text: str) -> None:
    complain_about(f"alarm: {text}")
    assert text.endswith(".")
    assert len(text) <= 1024  # CloudWatch, PutMetricAlarm


@pytest.mark.parametrize("text", written_in("workflow.failures", "from_multiline_text", 0))
def test_the_notification_of_a_failure_names_the_execution_and_where_the_remedy_stands(
    text: str,
) -> None:
    for field in ("name", "status", "error", "executionArn"):
        assert f"$.detail.{field}" in text
    assert text.endswith("says what to do.")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_is_refused_says_what_is_allowed(name: str) -> None:
    with pytest.raises(SettingError) as raised:
        Settings.from_context({name: ["?"]})
    complain_about(f"setting {raised.value}")


# What AWS answers, and what does not even reach it.


def refused(code: str, message: str = "no", status: int = 400) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "ListThings")


HERE: Final = "http://127.0.0.1:4566/"
THERE: Final = "https://rekognition.eu-nowhere-1.amazonaws.com/"

AWS_SAYS: Final[list[tuple[boto.BotoCoreError | ClientError, int, str]]] = [
    (refused("AccessDenied"), 1, "Ask for that right"),
    (refused("AccessDeniedException"), 1, "Ask for that right"),
    (refused("UnauthorizedOperation"), 1, "Ask for that right"),
    (refused("AuthorizationErrorException"), 1, "Ask for that right"),
    (refused("403"), 1, "Ask for that right"),
    (refused("ExpiredToken"), 1, "Sign in again"),
    (refused("ExpiredTokenException"), 1, "Sign in again"),
    (refused("RequestTimeTooSkewed"), 1, "clock"),
    (refused("InvalidClientTokenId"), 1, "aws configure"),
    (refused("UnrecognizedClientException"), 1, "aws configure"),
    (refused("InvalidAccessKeyId"), 1, "aws configure"),
    (refused("SignatureDoesNotMatch"), 1, "aws configure"),
    (refused("ThrottlingException"), 1, "Wait a minute"),
    (refused("Throttling"), 1, "Wait a minute"),
    (refused("SlowDown"), 1, "Wait a minute"),
    (refused("InternalFailure", status=500), 1, "Wait a minute"),
    (refused("NoSuchBucket"), 1, "make deploy"),
    (refused("ResourceNotFoundException"), 1, "make deploy"),
    (refused("StateMachineDoesNotExist"), 1, "make deploy"),
    (refused("AWS.SimpleQueueService.NonExistentQueue"), 1, "make deploy"),
    (refused("ValidationException", "name: too long."), 1, "Mend what it says"),
    (refused("Odd", ""), 1, "no reason given"),
    (boto.NoCredentialsError(), 2, "--profile"),
    (boto.PartialCredentialsError(provider="env", cred_var="x"), 2, "--profile"),
    (boto.ProfileNotFound(profile="nobody"), 2, "list-profiles"),
    (boto.NoRegionError(), 2, "--region"),
    (boto.InvalidRegionError(region_name="us east"), 2, "--region"),
    (boto.UnauthorizedSSOTokenError(), 1, "aws sso login"),
    (boto.TokenRetrievalError(provider="sso", error_msg="x"), 1, "aws sso login"),
    (boto.CredentialRetrievalError(provider="process", error_msg="x"), 1, "aws sso login"),
    (boto.EndpointConnectionError(endpoint_url=THERE, error="x"), 1, "Check the network"),
    (boto.ConnectTimeoutError(endpoint_url=THERE, error="x"), 1, "Check the network"),
    (boto.ReadTimeoutError(endpoint_url=THERE, error="x"), 1, "Check the network"),
    (boto.ProxyConnectionError(proxy_url="http://p", error="x"), 1, "Check the network"),
    (boto.SSLError(endpoint_url=THERE, error=OSError("x")), 1, "Check the network"),
    (boto.ConnectionClosedError(endpoint_url=THERE, error="x"), 1, "Check the network"),
    (boto.EndpointConnectionError(endpoint_url=HERE, error="x"), 1, "facematch local start"),
    (boto.ReadTimeoutError(endpoint_url=HERE, error="x"), 1, "facematch local start"),
    (boto.ParamValidationError(report="Stack: too short"), 1, "Mend what it says"),
]


@pytest.mark.parametrize(("error", "exit_code", "remedy"), AWS_SAYS, ids=lambda it: str(it)[:50])
def test_what_aws_refuses_says_what_was_asked_and_what_to_do(
    error: boto.BotoCoreError | ClientError, exit_code: int, remedy: str
) -> None:
    said = explained(error)
    assert status_of(said) == exit_code
    assert remedy in str(said)
    assert ".." not in str(said)
    assert not isinstance(error, ClientError) or "ListThings" in str(said)
    assert _ENDS.search(str(said))


def test_a_full_disk_names_the_file() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/x/y.jpg")
    remedy = "Correct the rights, or free up space, then repeat the command."
    assert str(about_file(full)) == f"/x/y.jpg: No space left on device. {remedy}"
    assert str(about_file(OSError("odd"))) == f"odd. {remedy}"


# The command line itself, against an AWS that lets people look at the stack and at nothing else.

STACK: Final = """<DescribeStacksResponse><DescribeStacksResult><Stacks><member>
<StackName>FaceMatching</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
<CreationTime>2026-01-02T00:00:00Z</CreationTime><Outputs>{}</Outputs>
</member></Stacks></DescribeStacksResult></DescribeStacksResponse>"""
OUTPUT: Final = "<member><OutputKey>{}</OutputKey><OutputValue>{}</OutputValue></member>"
MACHINE: Final = "arn:aws:states:us-east-1:111122223333:stateMachine:FaceMatching"
OUTPUTS: Final = {
    "ImagesBucket": "the-images",
    "ImagePrefix": "/images/",
    "OutputBucket": "the-output",
    "StateMachineArn": MACHINE,
    "RemovalStateMachineArn": f"{MACHINE}-removal",
    "BackfillStateMachineArn": f"{MACHINE}-backfill",
    "NamePattern": compiled_names_from(FROM_FILE).pattern.replace("<", "&lt;").replace(">", "&gt;"),
    "StartsPerSecond": "auto",
    "MaxFaces": "1",
    "NotifyThresholdParameter": "/FaceMatching/notify-threshold",
    "QueueUrl": "http://127.0.0.1:9/111122223333/queue",
    "DeadLetterQueueUrl": "http://127.0.0.1:9/111122223333/dead",
    "CollectionId": "faces",
    "AnalyticsWorkgroup": "facematching",
    "AnalyticsDatabase": "facematching",
}
EXPORT: Final = {
    "stack": "FaceMatching",
    "decisions": [
        {
            "name_a": "Ann",
            "name_b": "Bea",
            "decision": "UNSURE",
            "note": "",
            "decided_by": "Rea",
            "decided_at": "2026-01-02T00:00:00+00:00",
            "similarity": 99.5,
            "face_ids": ["f1"],
        }
    ],
}
NO_STACK: Final = "Stack with id FaceMatching does not exist"


class Aws(BaseHTTPRequestHandler):
    """Denies everything but what the test lets through."""

    protocol_version = "HTTP/1.1"  # a client that expects a 100 would wait a second without it
    outputs: ClassVar[dict[str, str] | None] = OUTPUTS
    empty_buckets: ClassVar[bool] = False

    def do_GET(self) -> None:
        self._answer()

    do_PUT = do_HEAD = do_POST = do_GET  # noqa: N815 - their names in the library

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        service = self.headers.get("Authorization", "").split("/")[3:4]
        if "Action=DescribeStacks" in body and self.outputs is not None:
            listed = "".join(OUTPUT.format(*pair) for pair in self.outputs.items())
            self._send(200, STACK.format(listed))
        elif "Action=DescribeStacks" in body:
            self._send(400, _error("ValidationError", NO_STACK))
        elif self.headers.get("X-Amz-Target"):
            self._send(400, '{"__type": "AccessDeniedException", "message": "not for you"}')
        elif service == ["s3"] and self.empty_buckets and "?" in self.path:
            self._send(200, "<ListBucketResult></ListBucketResult>")
        else:
            self._send(403, _error("AccessDenied", "not for you"))

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())


def _error(code: str, message: str) -> str:
    inner = f"<Code>{code}</Code><Message>{message}</Message>"
    return f"<ErrorResponse><Error>{inner}</Error>{inner}</ErrorResponse>"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Aws) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine without credentials, region, profile or local cloud."""
    for variable in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "FACEMATCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # The project's own list of evidence pages is not these tests'; one command at a time has it.
    dashboards = functools.partial(folders.EvidenceFolders, tmp_path / "state")
    monkeypatch.setattr(folders, "EvidenceFolders", dashboards)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


#: botocore reads its descriptions of the services again for each session; here there are many.
shared_loader: Final = functools.cache(botocore.session.create_loader)


@pytest.fixture
def somebody(
    nobody: pytest.MonkeyPatch, endpoint: str, tmp_path: Path, request: pytest.FixtureRequest
) -> pytest.MonkeyPatch:
    """With credentials, for the AWS of this test, which lets through what the parameter says."""
    nobody.setattr(botocore.session, "create_loader", shared_loader)
    nobody.setenv("AWS_ACCESS_KEY_ID", "test")
    nobody.setenv("AWS_SECRET_ACCESS_KEY", "test")
    nobody.setenv("AWS_DEFAULT_REGION", "us-east-1")
    nobody.setenv("AWS_ENDPOINT_URL", endpoint)
    for name, value in getattr(request, "param", {}).items():
        nobody.setattr(Aws, name, value)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "Ann.jpg").write_bytes(b"x")
    (tmp_path / "decisions.json").write_text(json.dumps(EXPORT))
    return nobody


def run(words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line; an error that is not said in a sentence is raised here."""
    monkeypatch.setattr(sys, "argv", ["facematch", *words.split()])
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert isinstance(ended.value.code, int)
    return ended.value.code


COMMANDS: Final = (
    "status",
    "executions",
    "show images/Ann.jpg",
    "failures",
    "matches",
    "replay --all",
    "replay Ann-0001",
    "replay --dead-letters",
    "audit",
    "backfill",
    "backfill --dry-run",
    "query daily",
    "evidence --to page",
    "destroy",
    "forget --name Ann",
    "upload folder",
    "decisions list",
    "decisions import decisions.json",
    "collection check",
    "evaluate folder --aws --yes --to page",
)
#: Those that ask S3 first, and something else when the buckets can be listed.
AFTER_S3: Final = ("audit", "evidence --to page", "forget --name Ann", "upload folder")


@pytest.mark.parametrize(
    ("words", "somebody"),
    [
        *((words, {}) for words in COMMANDS),
        *((words, {"empty_buckets": True}) for words in AFTER_S3),
    ],
    indirect=["somebody"],
)
def test_a_command_that_is_denied_says_what_it_asked_for(
    words: str,
    somebody: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(words, somebody) == 1
    said = capsys.readouterr().err
    assert re.search(r"AWS refused \w+ \(AccessDenied\w*\): not for you\. Ask for that", said)
    assert "ListObject" not in said or not Aws.empty_buckets


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            "status --region us-east-1",
            2,
            "'FaceMatching' was not reached. There are no AWS credentials.* aws configure",
        ),
        ("status", 2, "region.* --region"),
        ("status --profile nobody", 2, "nobody.* list-profiles"),
        ("status --local", 2, "No local cloud is running in .*facematch local start"),
        ("destroy --profile nobody", 2, "nobody.* list-profiles"),
        ("upload nowhere", 2, "nowhere"),
        ("decisions import nowhere.json", 2, "nowhere.json"),
        ("query pears", 2, "no query 'pears'.* facematch query"),
        ("query daily --param day", 2, "--param 'day' is not one name=value"),
        ("executions --status odd", 2, "odd.* Choose one of RUNNING"),
        ("replay", 2, "Say what to replay"),
        ("replay --since 99999999999999d", 2, "no time. Write how long ago"),
        ("replay --since 2026-13-01", 2, "no time. Write how long ago"),
        ("audit --force", 2, "Add --fix"),
        ("forget", 2, "--name NAME, --id ID"),
        ("audit --prefix images/\udcff", 2, r"images/\\xff is not UTF-8, .* Write it in UTF-8"),
        ("forget --name=Ann\udcff", 2, r"--name=Ann\\xff is not UTF-8"),
        ("cost --megabytes inf --json", 2, "--megabytes is inf. Give it a finite number"),
        ("cost --faces-per-image inf", 2, "--faces-per-image is inf. Give it a finite number"),
        ("status --watch --json", 2, "Choose one of --watch and --json"),
        ("evidence --delete --to .", 2, "not an evidence page.* --to"),
        ("evidence --delete --to /", 2, "/ is the root of the file system.* --to"),
        ("evaluate .", 2, "holds no photograph .* Name another folder"),
        ("evaluate . --names-from (", 2, "--names-from: .* no? ?.*regular expression"),
        ("calibrate --faces 0 --new-per-month 1 --wrong-per-month 1", 2, "Give more faces"),
    ],
)
def test_a_mistake_is_one_sentence_with_what_to_do(
    words: str,
    code: int,
    sentence: str,
    nobody: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(words, nobody) == code
    assert re.search(sentence, capsys.readouterr().err)


@pytest.mark.parametrize("somebody", [{"outputs": None}], indirect=True)
def test_a_stack_that_is_not_there_is_named_with_its_region(
    somebody: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("status", somebody) == 2
    assert re.search(
        r"no stack 'FaceMatching' in the region us-east-1.*\(make deploy\).* --local",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize("somebody", [{"outputs": {}}], indirect=True)
@pytest.mark.parametrize("words", ["status", "show key", "audit", "query daily"])
def test_a_stack_of_another_kind_is_no_traceback(
    words: str, somebody: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words, somebody) == 2
    assert re.search(r"FaceMatching.*deploy it again", capsys.readouterr().err, re.IGNORECASE)


def test_an_export_that_cannot_be_read_names_the_file(
    somebody: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "odd.json").write_bytes(b"\xff\xfe\x00")
    assert run("decisions import odd.json", somebody) == 2
    assert re.search(r"odd\.json is not text in UTF-8\. Import", capsys.readouterr().err)


def test_an_error_that_quotes_what_comes_from_outside_does_not_control_the_terminal(
    somebody: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = "\x1b]0;owned\x07"
    (tmp_path / file).write_text("{}")
    assert run(f"decisions import {file}", somebody) == 2
    said = capsys.readouterr().err
    assert "owned" in said
    assert not set("\x1b\x07") & set(said)
