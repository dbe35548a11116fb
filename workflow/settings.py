"""Every deployment setting: name, type, default, unit, check.

Settings are CDK context values: in cdk.json, or ``cdk deploy -c name=value``, where a value is
always text. One that is unknown or impossible stops synthesis with a sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from functions.matching.identity import FROM_FILE, FROM_FOLDER, compiled_names_from
from functions.matching.relations import Relation
from functions.matching.settings import LOWEST_SIMILARITY, MOST_SIMILAR, similarity
from functions.matching.subjects import SeveralFaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class SettingError(ValueError):
    """A setting that is unknown or impossible; the text names it, its value and what is allowed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One setting.

    Attributes
    ----------
    read
        Turns a context value, which may be text, into the setting's type, or raises ValueError
        with what is allowed.
    default
        In the setting's type.
    meaning
        For people, with the unit.
    """

    read: Callable[[Any], Any]
    default: Any
    meaning: str


def _text(pattern: str, allowed: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:  # noqa: ANN401 - a context value is anything
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(allowed)
        return value

    return read


def _number(low: float, high: float, unit: str) -> Callable[[Any], float]:
    def read(value: Any) -> float:  # noqa: ANN401
        allowed = f"a number from {low:g} to {high:g}{unit}"
        if isinstance(value, bool):
            raise ValueError(allowed)  # noqa: TRY004 - callers catch one kind
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(allowed) from None
        if not low <= number <= high:
            raise ValueError(allowed)
        return number

    return read


def _whole(low: int, high: int, unit: str = "") -> Callable[[Any], int]:
    number = _number(low, high, unit)

    def read(value: Any) -> int:  # noqa: ANN401
        allowed = f"a whole number from {low} to {high}{unit}"
        try:
            result = number(value)
        except ValueError:
            raise ValueError(allowed) from None
        if result != int(result):
            raise ValueError(allowed)
        return int(result)

    return read


def _similarity(value: Any) -> float:  # noqa: ANN401
    try:
        return similarity(str(value))
    except ValueError as error:
        raise ValueError(
            f"a number from {LOWEST_SIMILARITY} to {MOST_SIMILAR} %; {error}"
        ) from None


def _switch(value: Any) -> bool:  # noqa: ANN401
    words = {"true": True, "false": False}
    word = str(value).lower()
    if word not in words:
        raise ValueError("true or false")
    return words[word]


def _choice(*allowed: str) -> Callable[[Any], str]:
    return _text("|".join(allowed), "one of " + ", ".join(allowed))


def _names_from(value: Any) -> str:  # noqa: ANN401
    try:
        compiled_names_from(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{FROM_FILE}, {FROM_FOLDER}, or a regular expression with a group 'name' ({error})"
        ) from None
    return str(value)


def _relations(value: Any) -> str:  # noqa: ANN401
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    words = text.replace(" ", "").split(",")
    if words == [EVERY_RELATION]:
        return EVERY_RELATION
    if not set(words) <= set(Relation):
        raise ValueError(f"{EVERY_RELATION}, or some of {','.join(Relation)} separated by commas")
    return ",".join(relation for relation in Relation if relation in words)


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value in (None, "") else read(value)


#: A user's name may itself have a '/' in it (role/session). Namespaces and names by QuickSight's
#: RegisterUser and CreateGroup, the length by its ResourcePermission.
_QUICKSIGHT_PRINCIPAL: Final = _text(
    r"(?=.{1,256}\Z)arn:aws[a-z-]*:quicksight:[a-z0-9-]+:[0-9]{12}:(user|group)"
    r"/[A-Za-z0-9._-]{1,64}/[\x20-\xff]+",
    "the ARN of a QuickSight user or group, as "
    "arn:aws:quicksight:us-east-1:111122223333:group/default/managers",
)

#: Values of `encryption_key` that are no key's ARN.
ENCRYPTED_BY_AWS: Final = "aws"
ENCRYPTED_BY_STACK: Final = "own"
#: An alias is none: who may use it would be decided by whoever may move it to another key.
_ENCRYPTION_KEY: Final = _text(
    rf"{ENCRYPTED_BY_AWS}|{ENCRYPTED_BY_STACK}"
    r"|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/"
    r"([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})",
    "aws, own, or the ARN of a KMS key (no alias), as "
    "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
)

_EMAIL: Final = _text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")

#: Value of `notify_relations` that leaves out nothing.
EVERY_RELATION: Final = "all"

#: The CDK's own keys look like ``@aws-cdk/core:...``, ``aws:cdk:...``, ``availability-zones:...``.
_CDK_KEY: Final = re.compile(r"[@:/]")


#: Value of `powertools_version` that is no version.
NEWEST_POWERTOOLS: Final = "latest"

#: S3 holds no object that is older: the service began on this day.
_FIRST_DAY_OF_S3: Final = date(2006, 3, 14)
_RECORDS_SINCE: Final = date(2026, 1, 1)


def _day(value: Any) -> str:  # noqa: ANN401
    # The default is allowed on a machine with a clock that is behind it, too.
    last = max(datetime.now(UTC).date(), _RECORDS_SINCE)
    try:
        if value == date.fromisoformat(value).isoformat() and (
            str(_FIRST_DAY_OF_S3) <= value <= str(last)
        ):
            return str(value)
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"a day as {_RECORDS_SINCE}, not before {_FIRST_DAY_OF_S3} (S3 has no older object), "
        "and not in the future"
    )


def _setting(read: Callable[[Any], Any], *, default: Any, meaning: str) -> Any:  # noqa: ANN401
    setting = Setting(read=read, default=default, meaning=meaning)
    return field(default=default, metadata={"setting": setting})


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one deployment, checked."""

    stack_name: str = _setting(
        read=_text(
            # Parameter Store reserves both words (AWS Systems Manager, PutParameter).
            r"(?!(?i:aws|ssm))[A-Za-z][A-Za-z0-9-]{0,49}",
            "a letter, then up to 49 letters, digits or '-', but neither 'aws' nor 'ssm' first",
        ),
        default="FaceMatching",
        meaning="Name of the CloudFormation stack and of the state machine",
    )
    image_prefix: str = _setting(
        read=_text(r"([A-Za-z0-9!_.-]+/)*", "nothing, or folders of plain letters ending in /"),
        default="images/",
        meaning="Only keys below it start the workflow",
    )
    names_from: str = _setting(
        read=_names_from,
        default=FROM_FILE,
        meaning="Where the key carries the person's name: file, folder, or a regular expression "
        "with the group 'name' and, where there are record ids, the group 'id'",
    )
    max_faces: int = _setting(
        read=_whole(1, 100),
        default=1,
        meaning="Faces indexed per image, largest first; more than 1 gives bystanders the "
        "photograph's name",
    )
    several_faces: str = _setting(
        read=_choice(*SeveralFaces),
        default=SeveralFaces.LARGEST.value,
        meaning="Photographs that show another face of similar size: largest indexes the largest "
        "all the same, reject indexes none",
    )
    quality_filter: str = _setting(
        read=_choice("NONE", "AUTO", "LOW", "MEDIUM", "HIGH"),
        default="AUTO",
        meaning="Rekognition's bar for the quality of a face",
    )
    search_threshold: float = _setting(
        read=_similarity,
        default=80,
        meaning="Lowest similarity that a report lists, %",
    )
    max_matches: int = _setting(
        read=_whole(1, 4096),
        default=100,
        meaning="Matches kept per face, the best of each name first",
    )
    notify_threshold: float = _setting(
        read=_similarity,
        default=99,
        meaning="Initial value of the SSM parameter: lowest similarity that notifies, %",
    )
    settle_seconds: int = _setting(
        read=_whole(0, 3600, " seconds"),
        default=1,
        meaning="Wait between index and search, seconds; 0 leaves the state out",
    )
    starts_per_second: float | None = _setting(
        read=_or_none(_number(0.05, 1000, " per second")),
        default=None,
        meaning="Executions started per second; by default a little below the region's "
        "Rekognition quota",
    )
    traced_percent: float | None = _setting(
        read=_or_none(_number(0, 100, " %")),
        default=5,
        meaning="Executions that X-Ray traces, %; empty leaves it to the account's sampling rules",
    )
    notification_email: str | None = _setting(
        read=_or_none(_EMAIL), default=None, meaning="Subscribed to the matches"
    )
    notify_relations: str = _setting(
        read=_relations,
        default=EVERY_RELATION,
        meaning="Matches that notification_email is told of, by how the two names relate: all, or "
        f"some of {','.join(Relation)}",
    )
    alarm_email: str | None = _setting(
        read=_or_none(_EMAIL),
        default=None,
        meaning="Subscribed to the executions that failed",
    )
    retain_data: bool = _setting(
        read=_switch,
        default=True,
        meaning="Keep the buckets, their key and the face collection when the stack is deleted",
    )
    encryption_key: str = _setting(
        read=_ENCRYPTION_KEY,
        default=ENCRYPTED_BY_AWS,
        meaning="Key of buckets, queues, topics and logs: aws, own (a key of the stack), or a "
        "KMS key's ARN",
    )
    image_expiration_days: int | None = _setting(
        read=_or_none(_whole(1, 36500, " days")),
        default=None,
        meaning="Days after which photographs are deleted; their faces and reports go with them",
    )
    report_expiration_days: int | None = _setting(
        read=_or_none(_whole(1, 36500, " days")),
        default=None,
        meaning="Days after which reports, their rows and records of failed deliveries are "
        "deleted; not before the photographs",
    )
    failure_expiration_days: int | None = _setting(
        read=_or_none(_whole(1, 36500, " days")),
        default=None,
        meaning="Days after which failure records are deleted; not before the photographs",
    )
    powertools_version: str = _setting(
        read=_text(
            rf"{NEWEST_POWERTOOLS}|[1-9][0-9]*\.[0-9]+\.[0-9]+",
            f"{NEWEST_POWERTOOLS}, or a full version, as 3.37.0",
        ),
        default=NEWEST_POWERTOOLS,
        meaning="Version of the public Powertools layer; latest: the newest at each deployment",
    )
    records_since: str = _setting(
        read=_day,
        default=str(_RECORDS_SINCE),
        meaning="First day of the records that queries read, as YYYY-MM-DD; earlier if S3 "
        "Replication brings older photographs, which keep their date",
    )
    quicksight_principal_arn: str | None = _setting(
        read=_or_none(_QUICKSIGHT_PRINCIPAL),
        default=None,
        meaning="QuickSight user or group that owns the dashboard; adds the stack "
        "<stack_name>-QuickSight",
    )

    @property
    def names_pattern(self) -> str:
        """`names_from` as the regular expression that the functions use."""
        return compiled_names_from(self.names_from, image_prefix=self.image_prefix).pattern

    @property
    def mailed_relations(self) -> tuple[str, ...]:
        """`notify_relations`; none if everything is mailed."""
        return (
            ()
            if self.notify_relations == EVERY_RELATION
            else tuple(self.notify_relations.split(","))
        )

    @property
    def encrypted_by_given_key(self) -> bool:
        """Whether `encryption_key` is a key that somebody else made."""
        return self.encryption_key not in {ENCRYPTED_BY_AWS, ENCRYPTED_BY_STACK}

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> Self:
        """Read the settings out of the CDK's context.

        Raises
        ------
        SettingError
            For the first setting that is unknown or impossible.
        """
        given = {key: value for key, value in context.items() if not _CDK_KEY.search(key)}
        settings = cls(**{name: _read(name, value) for name, value in given.items()})
        if settings.notify_threshold < settings.search_threshold:
            raise SettingError(
                f"notify_threshold is {settings.notify_threshold:g}, which is below "
                f"search_threshold ({settings.search_threshold:g}): a match that no report lists "
                "cannot notify. Raise the first or lower the second."
            )
        images = settings.image_expiration_days
        for name in ("report_expiration_days", "failure_expiration_days"):
            records = getattr(settings, name)
            if records is not None and (images is None or records < images):
                raise SettingError(
                    f"{name} is {records}, and image_expiration_days is {images or 'not set'}: a "
                    "photograph would stay longer than its outcome, and `facematch audit` would "
                    "call it lost. Let photographs expire no later than their records."
                )
        return settings


SETTINGS: Final[dict[str, Setting]] = {
    each.name: each.metadata["setting"] for each in fields(Settings)
}

#: What settings were called in earlier versions, and are called now.
FORMER_NAMES: Final = {"name_pattern": "names_from"}


def _read(name: str, value: Any) -> Any:  # noqa: ANN401 - of the setting's type
    if name in FORMER_NAMES:
        now = FORMER_NAMES[name]
        raise SettingError(
            f"The setting {name!r} is now called {now!r}. Write the new name before its value "
            f"({value!r})."
        )
    if name not in SETTINGS:
        raise SettingError(f"{name!r} is not a setting. Use one of {', '.join(SETTINGS)}.")
    try:
        return SETTINGS[name].read(value)
    except ValueError as error:
        raise SettingError(f"{name} is {value!r}. Allowed: {error}.") from None
