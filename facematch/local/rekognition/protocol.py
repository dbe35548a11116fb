"""Rekognition's requests and errors, read and checked by botocore's service model."""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from botocore.loaders import create_loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OPERATIONS = (
    "CreateCollection",
    "DescribeCollection",
    "ListCollections",
    "DeleteCollection",
    "IndexFaces",
    "SearchFaces",
    "ListFaces",
    "DeleteFaces",
    "SearchFacesByImage",
    "DetectFaces",
    "CompareFaces",
)
#: Parameters that are images.
IMAGES = ("Image", "SourceImage", "TargetImage")
_REGION, _ACCOUNT = "us-east-1", "000000000000"
_SHOWN_VIOLATIONS = 10
Parameters = dict[str, Any]


class RekognitionError(Exception):
    """An error as AWS answers it: its name, its sentence, its HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status


def _invalid_parameter(message: str = "Request has invalid parameters") -> RekognitionError:
    return RekognitionError("InvalidParameterException", message)


def _internal_error() -> RekognitionError:
    return RekognitionError("InternalServerError", "Internal server error", status=500)


@dataclass(frozen=True, slots=True)
class Call:
    """One valid request: what a guard may look at. Header names are in lower case."""

    operation: str
    parameters: Parameters
    headers: Mapping[str, str]


class RequestReader:
    """Turns the body of a request into parameters, checked against botocore's service model.

    As on AWS, members that the model does not know are ignored, a null member counts as absent,
    a value of the wrong JSON type is a SerializationException, and all values out of bounds are
    reported together.
    """

    def __init__(self) -> None:
        description = create_loader().load_service_model("rekognition", "service-2")
        self._model = ServiceModel(description, "rekognition")

    def read(self, operation: str, body: bytes) -> Parameters:
        """The parameters of `operation`, one of `OPERATIONS`.

        Raises
        ------
        RekognitionError
            SerializationException, InvalidParameterException or ImageTooLargeException.
        """
        shape = self._model.operation_model(operation).input_shape
        if shape is None:
            return {}
        reading = _Reading()
        parameters: Parameters = reading.value(shape, _parse_json(body), "")
        if reading.violations:
            errors = "validation error" if reading.violations == 1 else "validation errors"
            raise _invalid_parameter(
                f"{reading.violations} {errors} detected: {'; '.join(reading.first_violations)}"
            )
        return parameters


class _Reading:
    """The walk through one request: values are converted, violations of bounds collected."""

    def __init__(self) -> None:
        self.violations = 0
        self.first_violations: list[str] = []

    def value(self, shape: Shape, value: object, path: str) -> Any:  # noqa: ANN401 - it is JSON
        readers: dict[str, Callable[[Any, object, str], Any]] = {
            "structure": self._structure,
            "list": self._list,
            "map": self._map,
            "string": self._string,
            "blob": self._blob,
            "integer": self._integer,
            "float": self._float,
        }
        return readers[shape.type_name](shape, value, path)

    def _structure(self, shape: StructureShape, value: object, path: str) -> Parameters:
        if not isinstance(value, dict):
            _refuse_type(value, "a structure")
        result: Parameters = {}
        for name, member in shape.members.items():
            member_path = f"{path}.{_camel(name)}" if path else _camel(name)
            if value.get(name) is not None:
                result[name] = self.value(member, value[name], member_path)
            elif name in shape.required_members:
                self._violation(None, member_path, "Member must not be null")
        return result

    def _list(self, shape: ListShape, value: object, path: str) -> list[Any]:
        if not isinstance(value, list):
            _refuse_type(value, "a list")
        self._bounds(shape, len(value), "length", "...", path)
        # What is beyond the bounds is not looked at: it can be millions of members.
        within = islice(value, shape.metadata.get("max"))
        return [
            self.value(shape.member, item, f"{path}.{number}.member")
            for number, item in enumerate(within, start=1)
        ]

    def _map(self, shape: MapShape, value: object, path: str) -> Parameters:
        if not isinstance(value, dict):
            _refuse_type(value, "a map")
        self._bounds(shape, len(value), "length", "...", path)
        return {
            self.value(shape.key, key, f"{path}.key"): self.value(
                shape.value, item, f"{path}.value"
            )
            for key, item in islice(value.items(), shape.metadata.get("max"))
        }

    def _string(self, shape: StringShape, value: object, path: str) -> str:
        if not isinstance(value, str):
            _refuse_type(value, "a String")
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON's escapes can spell
            raise RekognitionError("SerializationException", "Invalid Unicode escape") from None
        self._bounds(shape, len(value), "length", value, path)
        if shape.enum and value not in shape.enum:
            allowed = ", ".join(shape.enum)
            self._violation(value, path, f"Member must satisfy enum value set: [{allowed}]")
        pattern = shape.metadata.get("pattern")
        if pattern and not _python_pattern(pattern).fullmatch(value):
            self._violation(
                value, path, f"Member must satisfy regular expression pattern: {pattern}"
            )
        return value

    def _blob(self, shape: Shape, value: object, path: str) -> bytes:
        if not isinstance(value, str):
            _refuse_type(value, "a Blob")
        try:
            content = base64.b64decode(value, validate=True)
        except ValueError:
            raise RekognitionError(
                "SerializationException", f"'{path}' is not valid Base64"
            ) from None
        if len(content) > shape.metadata["max"]:  # every blob of these operations is an image
            raise _image_too_large()
        self._bounds(shape, len(content), "length", "...", path)
        return content

    def _integer(self, shape: Shape, value: object, path: str) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not _fits_32_bits(value):
            _refuse_type(value, "an Integer")
        self._bounds(shape, value, "value", value, path)
        return value

    def _float(self, shape: Shape, value: object, path: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            _refuse_type(value, "a Float")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            _refuse_type(value, "a Float")
        self._bounds(shape, number, "value", value, path)
        return number

    def _bounds(self, shape: Shape, size: float, what: str, value: object, path: str) -> None:
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if least is not None and size < least:
            self._violation(
                value, path, f"Member must have {what} greater than or equal to {least}"
            )
        if most is not None and size > most:
            self._violation(value, path, f"Member must have {what} less than or equal to {most}")

    def _violation(self, value: object, path: str, constraint: str) -> None:
        self.violations += 1
        if len(self.first_violations) < _SHOWN_VIOLATIONS:
            shown = "null" if value is None else f"'{str(value)[:100]}'"
            self.first_violations.append(
                f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"
            )


def _parse_json(body: bytes) -> object:
    try:
        # A list, a string or null is JSON too; the reading of the structure refuses it.
        parsed: object = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):  # ValueError: bad UTF-8, bad JSON, endless digits
        raise RekognitionError("SerializationException", "The request is not valid JSON") from None
    return parsed


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def _refuse_type(value: object, target: str) -> NoReturn:
    match value:
        case dict():
            message = "Start of structure or map found where not expected."
        case list():
            message = "Start of list found where not expected."
        case bool():
            message = f"{str(value).upper()}_VALUE can not be converted to {target}"
        case str():
            message = f"STRING_VALUE can not be converted to {target}"
        case None:
            message = f"NULL_VALUE can not be converted to {target}"
        case _:
            message = f"NUMBER_VALUE can not be converted to {target}"
    raise RekognitionError("SerializationException", message)


def _fits_32_bits(value: int) -> bool:
    return -(2**31) <= value < 2**31


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _python_pattern(pattern: str) -> re.Pattern[str]:
    r"""A pattern of the service model, which is Java's, for Python's `re`.

    Only ``\p{..}`` is unknown to Python. Its stand-ins accept a little more (``\w`` also has
    the underscore, ``\s`` the tab); only the tags of a collection use it.
    """
    for java, python in ((r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s")):
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


def _invalid_image_format(reason: str = "") -> RekognitionError:
    """AWS's sentence; AWS gives no reason, and does not refuse what it is about."""
    sentence = "Request has invalid image format"
    return RekognitionError(
        "InvalidImageFormatException", f"{sentence}: {reason}." if reason else sentence
    )


def _image_too_large() -> RekognitionError:
    return RekognitionError(
        "ImageTooLargeException", "The input image size exceeds the allowed limit."
    )


def _arn(collection_id: str) -> str:
    return f"arn:aws:rekognition:{_REGION}:{_ACCOUNT}:collection/{collection_id}"
