"""The settings that a local cloud was started with. They are kept with its state."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from facematch.errors import Unusable
from facematch.files.whole import write_whole
from facematch.text import local_command
from workflow.changes import Change, changes, recorded, renamed
from workflow.synthesis import RefusedSettingError, settings_with

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facematch.local.state_folder import StateFolder


@dataclass(frozen=True, slots=True)
class KeptSettings:
    """Settings of a local cloud.

    Attributes
    ----------
    given
        Those that were given in place of cdk.json's, as ``-c name=value`` gives them; none that
        says the same as cdk.json.
    recorded
        All of them, as `workflow.changes.recorded` gives them.
    """

    given: dict[str, Any]
    recorded: dict[str, Any]

    @classmethod
    def of(cls, home: StateFolder) -> Self:
        """Read those of the last start; there are none before the first one."""
        try:
            found = json.loads(home.settings.read_text())
            return cls(renamed(found["given"]), renamed(found["recorded"]))
        except (FileNotFoundError, NotADirectoryError):
            return cls({}, {})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unusable(
                f"{home.settings} cannot be read, so the settings of the last start are not known. "
                f"Delete that file, and give them again: {local_command('start')} -c name=value"
            ) from None

    def with_given(self, given: Mapping[str, Any]) -> Self:
        """Return the settings of the next start: those kept, and what is given in their place.

        Raises
        ------
        Unusable
            If a kept setting is unknown or impossible by now.
        RefusedSettingError
            If one is that is given.
        """
        try:
            settings = settings_with({**self.given, **given})
        except RefusedSettingError as error:
            if not self.given:
                raise
            settings_with(given)
            raise Unusable(
                f"{error} The settings of the last start take part: "
                f"{_pairs(self.given)}. Start without them: " + local_command("start", "--defaults")
            ) from None
        usual = settings_with({})
        differing = {
            name: value
            for name, value in {**self.given, **given}.items()
            if getattr(settings, name) != getattr(usual, name)
        }
        return type(self)(differing, recorded(settings))

    def keep(self, home: StateFolder) -> None:
        """Write them down, for the next start."""
        write_whole(
            home.settings, json.dumps({"given": self.given, "recorded": self.recorded}, indent=2)
        )

    def changes_to(self, other: KeptSettings) -> list[Change]:
        """Compare them with those of another start."""
        return changes(self.recorded, other.recorded)

    def words(self) -> list[str]:
        """Tell which settings are not those of cdk.json; nothing if all are."""
        if not self.given:
            return []
        return [
            f"Settings in place of those in cdk.json: {_pairs(self.given)}",
            f"To go back to cdk.json: {local_command('start', '--defaults')}",
        ]


def _pairs(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(given.items()))
