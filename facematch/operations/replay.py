"""Replay: redrive what Step Functions can resume, restart what it cannot or should not.

*Redrive* goes on at the step that failed, under the same ARN, with the code that is deployed now
but the definition of then; Step Functions offers it for 14 days. *Restart* starts a new execution
under ``<name>-rN`` with the same input: for what ended in a Fail state, is too old, or was started
with another definition than the state machine has now (AWS Step Functions Developer Guide,
Redriving executions).
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from facematch.errors import Unusable
from facematch.stack.executions import (
    STATUSES,
    Executions,
    NameTaken,
    NotRedrivable,
    Refused,
)
from facematch.stack.records import Records, image_recorded
from functions.matching.images import Subject, subject_of
from functions.matching.keys import replay_name
from functions.matching.pace import Pace
from functions.matching.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from facematch.stack.deployment import Deployment
    from facematch.stack.executions import Described, Execution

_MOST_ATTEMPTS: Final = 9999
_POLL_SECONDS: Final = 0.5
_AGO: Final = re.compile(r"(\d+)([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class How(StrEnum):
    """The two ways."""

    REDRIVE = "redrive"
    RESTART = "restart"


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which executions to replay; with nothing set, none.

    Attributes
    ----------
    names
        Names or ARNs; the other fields then do not choose, but `include_rejected` still allows.
    since
        Started later than this.
    error, step
        Ended with this error, in this state.
    """

    names: tuple[str, ...] = ()
    since: datetime | None = None
    error: str | None = None
    step: str | None = None
    everything: bool = False
    include_rejected: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing chooses."""
        return not (self.names or self.since or self.error or self.step or self.everything)


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """One execution that would be replayed, and how.

    Attributes
    ----------
    why
        The reason for restarting rather than redriving; else how the execution ended.
    input
        The execution's input, the same bytes.
    attempt
        The first free N of ``-rN``, as far as is known.
    """

    arn: str
    version_name: str
    how: How
    why: str
    input: str
    attempt: int


@dataclass(slots=True)
class Result:
    """What came of one replay.

    Attributes
    ----------
    arn
        Of the execution that was redriven or started; None when neither was possible.
    outcome
        For people: the status in the end, or why it was not replayed.
    """

    replay: Replay
    arn: str | None
    outcome: str
    succeeded: bool = False


@dataclass(slots=True)
class Plan:
    """What would be replayed, and what was left out and why."""

    replays: list[Replay] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, why: str) -> None:
        """Count one that is not replayed."""
        self.left_out[why] = self.left_out.get(why, 0) + 1


def moment(text: str, *, now: datetime) -> datetime:
    """The time that ``2h``, ``3d`` (ago) or ``2026-11-22T10:00`` means, in UTC by default.

    Raises
    ------
    Unusable
        When it is neither.
    """
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        parsed = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise Unusable(
            f"{text!r} is no time. Write how long ago (30m, 2h, 7d) or when (2026-11-22T10:00)."
        ) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class Replayer:
    """Plans and does replays in one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._executions = Executions(deployment)
        self._records = Records(deployment)

    def plan(self, selection: Selection, *, seen: Callable[[], None] = lambda: None) -> Plan:
        """Find out what would be replayed and how.

        Of the attempts at one object version only the newest counts, and none when one of them
        succeeded or still runs. Where nobody was notified of a match, the attempt that reported it
        counts, unless another runs.

        Parameters
        ----------
        seen
            Told of each execution that has been looked at.
        """
        plan = Plan()
        definitions: dict[str, str] = {}
        for execution in self._candidates(selection, plan):
            seen()
            described = self._executions.described(execution.arn)
            if described is None or not described.ended_badly:
                plan.leave_out("did not end badly")
            elif described.was_rejected and not selection.include_rejected:
                plan.leave_out("rejected: the image is at fault (--include-rejected)")
            elif self._is_selected(selection, execution, described):
                machine = self._executions.state_machine_of(execution.name)
                if machine not in definitions:
                    definitions[machine] = self._executions.definition(machine)
                plan.replays.append(self._planned(execution, described, definitions[machine]))
        if not selection.names:
            self._plan_forgotten(selection, plan)
        return plan

    def run(self, plan: Plan, *, done: Callable[[Result], None], wait: bool = True) -> list[Result]:
        """Replay what is planned, no faster than `starts_per_second`, and follow it to its end.

        Can be interrupted and repeated: a redrive is refused while the execution runs, and a
        restart finds the name taken.

        Parameters
        ----------
        done
            Told of each result as soon as it is known.
        """
        pace = Pace(
            self._deployment.starts_per_second,
            _OwnStartSlots(),
            clock=time.time,
            sleep=time.sleep,
        )
        results, running = [], []
        for replay in plan.replays:
            pace.wait()
            result = self._replay(replay)
            results.append(result)
            if result.arn and wait:
                running.append(result)
            else:
                done(result)
            running = self._still_running(running, done)
        while running:
            time.sleep(_POLL_SECONDS)
            running = self._still_running(running, done)
        return results

    def _candidates(self, selection: Selection, plan: Plan) -> Iterator[Execution]:
        if selection.names:
            yield from map(self._named, selection.names)
            return
        undelivered = {
            record["execution_arn"] for record in self._recorded(Place.DELIVERY_FAILURES)
        }
        for attempts in self._attempts():
            newest = max(attempts, key=lambda execution: execution.attempt)
            ended_badly = [each for each in attempts if each.ended_badly]
            owing = [each for each in ended_badly if each.arn in undelivered]
            running = any(execution.is_running for execution in attempts)
            if len(ended_badly) == len(attempts) or (owing and not running):
                execution = owing[0] if owing else newest
                if selection.since is None or execution.started >= selection.since:
                    yield execution
            elif newest in ended_badly:
                plan.leave_out("another attempt succeeded or still runs")

    def _attempts(self) -> Iterable[list[Execution]]:
        """The attempts at each object version."""
        found: dict[str, list[Execution]] = {}
        for execution in self._executions.listed(statuses=STATUSES):
            found.setdefault(execution.version_name, []).append(execution)
        return found.values()

    def _named(self, name: str) -> Execution:
        found = self._executions.described(self._executions.arn(name))
        if found is None:
            raise Unusable(
                f"There is no execution {name!r} in {self._executions.state_machine_of(name)}. "
                "Step Functions forgets executions after 90 days; --all replays those from their "
                "failure records."
            )
        return found

    def _is_selected(
        self, selection: Selection, execution: Execution, described: Described
    ) -> bool:
        if selection.names:
            return True
        if selection.error and described.error != selection.error:
            return False
        return not selection.step or self._executions.last_step(execution.arn) == selection.step

    def _planned(self, execution: Execution, described: Described, definition: str) -> Replay:
        how, why = How.REDRIVE, described.error or described.status
        if described.was_rejected:
            how, why = How.RESTART, "it ended in the state ImageRejected, which would fail again"
        elif described.not_redrivable:
            how, why = How.RESTART, described.not_redrivable
        elif self._executions.definition_of(execution.arn) != definition:
            how, why = How.RESTART, "the state machine's definition has changed since"
        return Replay(
            arn=execution.arn,
            version_name=execution.version_name,
            how=how,
            why=why,
            input=described.input,
            attempt=execution.attempt + 1,
        )

    def _plan_forgotten(self, selection: Selection, plan: Plan) -> None:
        """Executions that Step Functions has forgotten, from their failure records."""
        planned = {replay.arn for replay in plan.replays}
        for record in (*self._recorded(Place.FAILURES), *self._recorded(Place.DELIVERY_FAILURES)):
            arn = record["execution_arn"]
            if arn in planned or not _is_selected_record(selection, record):
                continue
            if record["status"] == "REJECTED" and not selection.include_rejected:
                continue
            if self._executions.described(arn) is not None:
                continue
            image = self._subject_of(record)
            if self._has_other_attempt(image):
                plan.leave_out("another attempt succeeded or still runs")
                continue
            plan.replays.append(
                Replay(
                    arn=arn,
                    version_name=image.execution_name,
                    how=How.RESTART,
                    why="Step Functions no longer knows the execution; from its failure record",
                    input=image.execution_input,
                    attempt=1,
                )
            )

    def _subject_of(self, record: dict[str, Any]) -> Subject:
        """What a failure record is about."""
        machine = self._executions.state_machine_of(record["execution_arn"])
        removed = machine != self._deployment.state_machine_arn
        return subject_of({**image_recorded(record).to_payload(), "removed": removed})

    def _recorded(self, place: Place) -> Iterator[dict[str, Any]]:
        return self._records.read(list(self._records.keys(place)))

    def _has_other_attempt(self, image: Subject) -> bool:
        """Whether Step Functions knows one; each that ended badly is planned by itself."""
        return any(self._executions.attempts(image.execution_name))

    def _replay(self, replay: Replay) -> Result:
        if replay.how is How.RESTART:
            return self._restart(replay, "")
        try:
            self._executions.redrive(replay.arn)
        except NotRedrivable as error:
            now = self._executions.described(replay.arn)
            if now and not now.ended_badly:
                return Result(replay, None, "is being replayed already", succeeded=True)
            return self._restart(replay, f"redrive refused ({error}); ")
        except Refused as error:
            return Result(replay, None, f"not redriven: {error}")
        return Result(replay, replay.arn, "")

    def _restart(self, replay: Replay, note: str) -> Result:
        for attempt in range(replay.attempt, _MOST_ATTEMPTS + 1):
            name = replay_name(replay.version_name, attempt)
            try:
                return Result(replay, self._executions.start(name, replay.input), note)
            except NameTaken:
                other = self._executions.described(self._executions.arn(name))
                if other and not other.ended_badly:
                    return Result(replay, None, f"{note}{name} replays it already", succeeded=True)
            except Refused as error:
                return Result(replay, None, f"{note}not restarted: {error}")
        return Result(replay, None, f"{note}all names up to -r{_MOST_ATTEMPTS} are taken")

    def _still_running(self, running: list[Result], done: Callable[[Result], None]) -> list[Result]:
        still = []
        for result in running:
            described = self._executions.described(result.arn or "")
            if described and described.is_running:
                still.append(result)
                continue
            status = described.status if described else "unknown to Step Functions"
            error = described.error if described else None
            result.outcome += status + (f" ({error})" if error else "")
            result.succeeded = status == "SUCCEEDED"
            done(result)
        return still


class _OwnStartSlots:
    """The slots of this process alone; those of the starters are not taken."""

    def __init__(self) -> None:
        self._next = 0.0

    def take(self, now: float, interval: float) -> float:
        """The next turn, at `now` or later."""
        turn = max(now, self._next)
        self._next = turn + interval
        return turn


def _is_selected_record(selection: Selection, record: dict[str, Any]) -> bool:
    if selection.since and datetime.fromisoformat(record["failed_at"]) < selection.since:
        return False
    if selection.error and record["error"] != selection.error:
        return False
    return not selection.step or record["step"] == selection.step


def by_way(replays: Iterable[Replay]) -> dict[str, int]:
    """How many of each way."""
    counted: dict[str, int] = {}
    for replay in replays:
        counted[replay.how] = counted.get(replay.how, 0) + 1
    return counted
