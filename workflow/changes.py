"""Settings as a deployed stack records them, and how they differ from those about to be deployed.

A setting that ``-c name=value`` gave to one deployment is gone at the next one, unless it is given
again or stands in cdk.json. The comparison finds that before anything is changed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from functions.matching.identity import FROM_FILE, FROM_FOLDER, compiled_names_from
from workflow.outputs import Output
from workflow.settings import FORMER_NAMES, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from workflow.settings import Settings


#: A change of these makes data unreadable, makes reports before and after it incomparable, or
#: deletes data. So a person must name the setting.
PROTECTED: Final = frozenset(
    {
        *("encryption_key", "image_prefix", "names_from", "max_faces", "several_faces"),
        "retain_data",
        *("image_expiration_days", "report_expiration_days", "failure_expiration_days"),
    }
)
#: The name of a stack cannot change: with another name it is another stack.
_NOT_COMPARED: Final = "stack_name"
#: These have outputs of their own.
_OWN_OUTPUTS: Final = {
    "image_prefix": Output.IMAGE_PREFIX,
    "names_from": Output.NAME_PATTERN,
    "max_faces": Output.MAX_FACES,
}
#: Outputs can be read by everybody who may describe the stack.
_CONFIDENTIAL: Final = frozenset({"notification_email", "alarm_email"})
#: CloudFormation allows 1,024 bytes for the value of an output (AWS CloudFormation quotas), which
#: holds all other settings.
_LONGEST: Final = 100
_DIGEST: Final = "sha256:"
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that a deployment would change.

    Attributes
    ----------
    before, after
        The values as `recorded` gives them; None if the setting is not set.
    """

    name: str
    before: Any
    after: Any

    @property
    def is_protected(self) -> bool:
        """Whether a person must name the setting to change it."""
        return self.name in PROTECTED

    def __str__(self) -> str:
        return f"{self.name}: {_shown(self.before)} -> {_shown(self.after)}"


def recorded(settings: Settings) -> dict[str, Any]:
    """Return the settings by their names, as a stack records them.

    An e-mail address and a very long value are recorded as a digest.
    """
    return {
        name: _digest(value) if _is_hidden(name, value) else value
        for name, value in renamed(asdict(settings)).items()
        if name != _NOT_COMPARED
    }


def recorded_text(settings: Settings) -> str:
    """Return the value of the output `Output.SETTINGS`."""
    values = {n: v for n, v in recorded(settings).items() if n not in _OWN_OUTPUTS}
    return json.dumps(values, separators=(",", ":"))


def recorded_in(outputs: Mapping[str, str]) -> dict[str, Any]:
    """Return what the outputs of a stack record of its settings.

    A stack of an earlier version has no output `Output.SETTINGS`, and records three settings.

    Raises
    ------
    KeyError
        With the name of the output, if the stack is not of this project.
    ValueError
        If the outputs cannot be read.
    """
    values = json.loads(outputs.get(Output.SETTINGS, "{}"))
    if not isinstance(values, dict):
        raise ValueError(f"{Output.SETTINGS} is no JSON object")  # noqa: TRY004 - one kind to catch
    return renamed(
        {
            **values,
            "image_prefix": outputs[Output.IMAGE_PREFIX].removeprefix("/"),
            "names_from": outputs[Output.NAME_PATTERN],
            "max_faces": int(outputs[Output.MAX_FACES]),
        }
    )


def renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of any version as this version names and writes them."""
    now = {FORMER_NAMES.get(name, name): value for name, value in values.items()}
    prefix = now.get("image_prefix", SETTINGS["image_prefix"].default)
    for word in (FROM_FILE, FROM_FOLDER):
        if now.get("names_from") == compiled_names_from(word, image_prefix=prefix).pattern:
            now["names_from"] = word
    return now


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Compare two sets of recorded settings; what only one of them records is not compared."""
    return [
        Change(name, before[name], after[name])
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    ]


def refused(found: Collection[Change], named: Collection[str]) -> list[Change]:
    """Return the changes of protected settings that no person has named."""
    return [change for change in found if change.is_protected and change.name not in named]


def _is_hidden(name: str, value: object) -> bool:
    if value is None or name in _OWN_OUTPUTS:
        return False
    return name in _CONFIDENTIAL or len(json.dumps(value)) > _LONGEST


def _digest(value: object) -> str:
    return _DIGEST + hashlib.sha256(str(value).encode()).hexdigest()[:_DIGITS]


def _shown(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, str) and value.startswith(_DIGEST):
        return f"a value that is kept secret (digest {value.removeprefix(_DIGEST)})"
    return json.dumps(value, ensure_ascii=False)
