"""Who is let into the local cloud: no page in a browser, and nobody without a key of it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.parsers import create_parser
from botocore.session import get_session

from facematch.local.keys import AccessKey, AccessKeys, NoAccessKeysError
from facematch.local.loopback_guard import access_key_id, guarded

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path


def _keys(letters: str) -> AccessKeys:
    """Keys in the form of random ones; the same in every process, since tests are named by them."""
    return AccessKeys(*(AccessKey(f"LOCAL{letter * 26}", letter * 40) for letter in letters))


KEYS = _keys("AB")
ANOTHER_CLOUDS = _keys("CD")
USER, FUNCTIONS = KEYS.user.id, KEYS.functions.id
HOST = (b"host", b"127.0.0.1:4566")
#: What the emulator behind it takes for the account's root, or nearly the right key.
NO_KEYS = [
    *("", "test", "000000000000", "123456789012", "AKIAIOSFODNN7EXAMPLE"),
    *(ANOTHER_CLOUDS.user.id, ANOTHER_CLOUDS.functions.id, KEYS.user.secret, "LOCAL"),
    *(USER[:-1], USER + "A", USER.lower(), FUNCTIONS[:-1], f"A{FUNCTIONS}"),
]


def finished(work: Coroutine[Any, Any, None]) -> None:
    """Run what waits for nothing: without an event loop, which would need a socket."""
    with pytest.raises(StopIteration):
        work.send(None)


def answer(*headers: tuple[bytes, bytes], query: bytes = b"") -> tuple[dict[str, Any], bytes, bool]:
    """Start and body of the answer, and whether the application was reached."""
    reached: list[bool] = []
    sent: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        reached.append(True)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a photograph"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": list(headers), "query_string": query}
    finished(guarded(app, KEYS)(scope, None, send))
    start, body = sent
    return start, body["body"], bool(reached)


def asked(*headers: tuple[bytes, bytes], query: bytes = b"") -> tuple[int, bool]:
    """Status of the answer, and whether the application was reached."""
    start, _, reached = answer(*headers, query=query)
    return start["status"], reached


def signed(key: str) -> tuple[bytes, bytes]:
    scope = f"{key}/20260101/us-east-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    return b"authorization", text.encode()


# --- Pages in a browser -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1:4566",
        b"127.0.0.1",
        b"localhost:4566",
        b"LOCALHOST:4566",
        b"[::1]:4566",
        b"bucket.localhost:4566",
        b"facematching-images.s3.localhost",
    ],
)
def test_a_program_of_this_machine_is_answered(host: bytes) -> None:
    agent = (b"user-agent", b"Boto3/1.43 md/Botocore#1.43 ua/2.1 os/linux lang/python#3.11")

    assert asked((b"host", host), agent, signed(USER)) == (200, True)


@pytest.mark.parametrize(
    "host",
    [
        b"photographs.example:4566",  # which its owner points to 127.0.0.1
        b"127.0.0.1.example:4566",
        b"localhost.example",
        b"notlocalhost:4566",
        b"evil.example@127.0.0.1.example",
        b"169.254.169.254",
        b"0.0.0.0:4566",
        b"",
        b"\xff",
        b"[::1",
    ],
)
def test_a_page_under_a_name_of_its_own_is_refused(host: bytes) -> None:
    start, body, reached = answer((b"host", host), signed(USER))

    assert (start["status"], reached) == (403, False)
    assert b"programs of this machine" in body


@pytest.mark.parametrize(
    "header",
    [
        (b"origin", b"https://photographs.example"),
        (b"origin", b"null"),  # of a file, or of a frame without rights
        (b"origin", b"http://localhost:8000"),  # another program's page
        (b"sec-fetch-site", b"cross-site"),
        (b"sec-fetch-site", b"same-site"),
        (b"sec-fetch-site", b"same-origin"),
        # A link that another program opened, wherever it redirected to.
        (b"sec-fetch-site", b"none"),
        (b"sec-fetch-mode", b"navigate"),
        (b"sec-fetch-dest", b"document"),
        (b"sec-fetch-user", b"?1"),
        (b"sec-fetch-storage-access", b"none"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0"),
    ],
)
def test_what_only_a_browser_sends_is_refused_even_with_the_right_key(
    header: tuple[bytes, bytes],
) -> None:
    assert asked(HOST, header, signed(USER)) == (403, False)
    assert asked(HOST, signed(USER), header) == (403, False)


# --- Keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", [USER, FUNCTIONS, f"{FUNCTIONS}ASIA0123456789ABCDEF"], ids=["user", "worker", "role"]
)
def test_a_key_of_this_cloud_is_admitted_however_it_comes(key: str) -> None:
    scope = f"{key}%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
    v4 = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}&X-Amz-Signature=0"
    v2 = f"versionId=1&AWSAccessKeyId={key}&Signature=0&Expires=1"

    assert asked(HOST, signed(key)) == (200, True)
    assert asked(HOST, (b"authorization", f"AWS {key}:signature".encode())) == (200, True)
    assert asked(HOST, query=v4.encode()) == (200, True)
    assert asked(HOST, query=v2.encode()) == (200, True)


@pytest.mark.parametrize("key", NO_KEYS)
def test_any_other_key_is_refused_however_it_comes(key: str) -> None:
    scope = f"{key}/20260101/us-east-1/s3/aws4_request"

    assert asked(HOST, signed(key)) == (403, False)
    assert asked(HOST, (b"authorization", f"AWS {key}:signature".encode())) == (403, False)
    assert asked(HOST, query=f"X-Amz-Credential={scope}".encode()) == (403, False)
    assert asked(HOST, query=f"AWSAccessKeyId={key}".encode()) == (403, False)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ((), b""),
        ((), b"Action=CreateStack&StackName=x"),
        ((), b"X-Amz-Credential"),
        ((), b"\xff&&=%zz"),
        (((b"authorization", b""),), b""),
        (((b"authorization", b"Bearer " + USER.encode()),), b""),
        (((b"authorization", b"AWS4-HMAC-SHA256"),), b""),
        (((b"authorization", b"AWS4-HMAC-SHA256 Credential="),), b""),
        (((b"authorization", b"\xff\xfe"),), b""),
        (((b"x-amz-security-token", USER.encode()),), b""),
        # Where the key is not what names the caller.
        (((b"authorization", signed("test")[1] + b", Credential=" + USER.encode()),), b""),
        ((signed("test"),), b"X-Amz-Credential=" + USER.encode() + b"/"),
    ],
)
def test_a_request_that_names_no_key_is_refused(
    headers: tuple[tuple[bytes, bytes], ...], query: bytes
) -> None:
    assert asked(HOST, *headers, query=query) == (403, False)


@pytest.mark.parametrize("other", ["test", USER, FUNCTIONS])
def test_a_request_that_names_two_keys_is_refused_since_each_reader_might_take_another(
    other: str,
) -> None:
    mine, theirs = signed(USER), signed(other)
    scope = f"{USER}/20260101/us-east-1/s3/aws4_request"
    presigned = f"X-Amz-Credential={other}/20260101/us-east-1/s3/aws4_request"

    assert asked(HOST, mine, theirs) == (403, False)
    assert asked(HOST, theirs, mine) == (403, False)
    assert asked(HOST, mine, query=presigned.encode()) == (403, False)
    assert asked(HOST, query=f"X-Amz-Credential={scope}&{presigned}".encode()) == (403, False)
    assert asked(HOST, query=f"{presigned}&AWSAccessKeyId={USER}".encode()) == (403, False)
    both = (b"authorization", mine[1] + b", Credential=" + other.encode())
    assert asked(HOST, both) == (403, False)


def test_starting_and_ending_are_no_requests() -> None:
    seen: list[str] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    finished(guarded(app, KEYS)({"type": "lifespan"}, None, None))

    assert seen == ["lifespan"]


@pytest.mark.parametrize("service", ["s3", "sts", "stepfunctions", "lambda", "rekognition"])
@pytest.mark.parametrize(
    ("key", "code"),
    [("test", "UnrecognizedClientException"), ("", "MissingAuthenticationTokenException")],
)
def test_a_client_of_any_service_reads_what_to_do(service: str, key: str, code: str) -> None:
    model = get_session().get_service_model(service)
    protocol = model.resolved_protocol
    speaks_json = [(b"content-type", b"application/x-amz-json-1.1")] if protocol == "json" else []

    start, body, _ = answer(HOST, signed(key), *speaks_json)
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    response = {"status_code": start["status"], "headers": headers, "body": body}
    operation = model.operation_model(model.operation_names[0])
    parsed = create_parser(protocol).parse(response, operation.output_shape)  # type: ignore[arg-type]

    assert 'eval "$(facematch local env)"' in parsed["Error"]["Message"]
    if protocol != "rest-json":  # its errors cannot be told from S3's before they are routed
        assert parsed["Error"]["Code"] == code


def test_a_refusal_does_not_repeat_the_key_that_was_given() -> None:
    for key in filter(None, NO_KEYS):
        _, body, _ = answer(HOST, signed(key))
        assert key.encode() not in body


# --- The file of the keys ---------------------------------------------------------------------


def test_a_key_has_128_random_bits_and_is_one_word_in_every_place() -> None:
    made = [AccessKey.random() for _ in range(1000)]

    for key in made:
        letters = key.id.removeprefix("LOCAL")
        assert len(base64.b32decode(letters + "=" * (-len(letters) % 8))) == 16
        assert key.id.isalnum()
        assert access_key_id(signed(key.id)[1]) == key.id.encode()
    assert len({key.id for key in made} | {key.secret for key in made}) == 2000


def test_a_printed_key_shows_nothing_of_it() -> None:
    printed = f"{KEYS!r} {KEYS} {KEYS.user}"

    for secret in (USER, FUNCTIONS, KEYS.user.secret, KEYS.functions.secret):
        assert secret not in printed


def test_keys_are_made_once_and_are_their_owners_only(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"

    made = AccessKeys.kept_in(file)

    assert file.stat().st_mode & 0o777 == 0o600
    assert AccessKeys.kept_in(file) == made == AccessKeys.read(file)
    assert list(tmp_path.iterdir()) == [file]
    assert made.user != made.functions


def test_the_file_is_never_readable_by_others_not_even_while_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    dump = json.dump

    def watched(value: object, file: Any) -> None:
        dump(value, file)
        file.flush()
        modes.extend(path.stat().st_mode & 0o777 for path in tmp_path.iterdir())

    monkeypatch.setattr(json, "dump", watched)
    AccessKeys.kept_in(tmp_path / "keys.json")

    assert modes == [0o600]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"user": {"id": "a"}}', '{"user": 1}'])
def test_a_damaged_file_is_replaced(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.json"
    file.touch(0o600)
    file.write_text(text)

    with pytest.raises(NoAccessKeysError, match="facematch local start"):
        AccessKeys.read(file)
    made = AccessKeys.kept_in(file)

    assert AccessKeys.read(file) == made


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_keys_that_others_could_read_or_write_are_replaced(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "keys.json"
    known = AccessKeys.kept_in(file)
    file.chmod(mode)

    made = AccessKeys.kept_in(file)

    assert made.user != known.user
    assert made.functions != known.functions
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    elsewhere, file = tmp_path / "elsewhere.json", tmp_path / "keys.json"
    known = AccessKeys.kept_in(elsewhere)
    file.symlink_to(elsewhere)

    made = AccessKeys.kept_in(file)

    assert made != known
    assert not file.is_symlink()
    assert AccessKeys.read(elsewhere) == known


def test_what_a_damaged_file_holds_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    AccessKeys.kept_in(file)
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({"user": {**kept["user"], "more": 1}}))

    with pytest.raises(NoAccessKeysError) as raised:
        AccessKeys.read(file)

    assert kept["user"]["id"] not in str(raised.value)
    assert kept["user"]["secret"] not in str(raised.value)
    assert raised.value.__suppress_context__
