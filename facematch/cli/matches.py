"""facematch matches: who matches whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from facematch.cli.empty import show_if_no_photographs
from facematch.cli.options import AsJson, Where, on_stack, similarity_or_all
from facematch.cli.terminal import messages, output, print_json, safe
from facematch.errors import Unusable
from facematch.operations.conflicts import Conflict, conflicts, mirrored_once
from facematch.operations.matches import SEARCH_AGAIN, RecordPair, read_matches
from facematch.stack.deployment import Deployment
from functions.matching.faces import NamesLeftOut
from functions.matching.images import SAME_FILE, SAME_FILE_MEANS
from functions.matching.notifications import percent
from functions.matching.relations import RELATIONS
from functions.matching.subjects import SEVERAL_PEOPLE_MEANS, people_shown

_SHOWN: Final = 20
_CONFLICT_MEANS: Final = (
    "One record, two faces: a photograph filed under the wrong name, or a stolen record. Each is a "
    "candidate for a person's judgement, not a verdict."
)


@on_stack
def matches(
    *,
    minimum: Annotated[
        float | None,
        typer.Option(
            "--min",
            parser=similarity_or_all,
            metavar="PERCENT",
            help="Lowest similarity, %; default: notify's.",
        ),
    ] = None,
    as_conflicts: Annotated[
        bool, typer.Option("--conflicts", help="Show records with two faces instead.")
    ] = False,
    as_json: AsJson = False,
    where: Where,
) -> None:
    """Show who matches whom: each pair of records once, with its best pair of photographs.

    With --conflicts, show photographs that resemble no other one of their record. What people have
    decided about is shown apart.
    """
    if as_conflicts and minimum is not None:
        raise Unusable(
            "--conflicts goes by the threshold of each search, so it takes no --min. Leave it out."
        )
    deployment = where.deployment()
    if as_conflicts:
        _show_conflicts(deployment, as_json=as_json)
        return
    threshold = deployment.notify_threshold() if minimum is None else minimum
    with messages.status("asking Athena"):
        found = read_matches(deployment, minimum=threshold)
    pairs = found.pairs
    if as_json:
        print_json([asdict(pair) for pair in pairs], indent=2)
    elif pairs:
        waiting = by_relation(pair for pair in pairs if pair.is_open)
        decided = [pair for pair in pairs if not pair.is_open]
        for table in tables_by_relation(waiting):
            output.print(table)
            output.print()
        output.print(
            f"{len(waiting)} {'pair' if len(waiting) == 1 else 'pairs'} of records from "
            f"{threshold:g} % up: candidates for a person's judgement, not a verdict."
        )
        if decided:
            output.print()
            output.print(pairs_table(decided, title=f"{len(decided)} decided"))
        if any(pair.same_file for pair in pairs):
            output.print()
            output.print(SAME_FILE_MEANS)
        if any(pair.shows_several for pair in pairs):
            output.print()
            output.print(SEVERAL_PEOPLE_MEANS)
    else:
        output.print(f"No pair of records from {threshold:g} % up.")
        show_if_no_photographs(deployment)
    _show_lacking(deployment, found.lacking)


def _show_conflicts(deployment: Deployment, *, as_json: bool) -> None:
    with messages.status("asking Athena"):
        found = conflicts(deployment)
    if as_json:
        print_json([asdict(conflict) for conflict in found], indent=2)
        return
    if not found:
        output.print("No record with two faces.")
        show_if_no_photographs(deployment)
        return
    shown = mirrored_once(found)
    waiting = [conflict for conflict in shown if conflict.is_open]
    decided = [conflict for conflict in shown if not conflict.is_open]
    if waiting:
        output.print(conflicts_table(waiting))
    counted = (
        "1 photograph resembles no other one of its record"
        if len(waiting) == 1
        else f"{len(waiting)} photographs resemble no other one of their records"
    )
    output.print(f"{counted}. {_CONFLICT_MEANS}")
    if decided:
        output.print()
        output.print(conflicts_table(decided, title=f"{len(decided)} decided"))


def conflicts_table(found: Sequence[Conflict], *, title: str | None = None) -> Table:
    """Show records with two faces; with a title, also what people decided about them."""
    table = Table(title=title, title_justify="left")
    for column in ("Record", "Photograph that stands alone", "Best other photograph"):
        table.add_column(column, overflow="fold")
    table.add_column("Photographs", justify="right", no_wrap=True)
    if title:
        table.add_column("Decided", overflow="fold")
    for each in found:
        table.add_row(
            safe(str(each.identity)),
            safe(each.key),
            safe(each.other_key),
            str(each.photographs),
            *([_decided(each)] if title else []),
        )
    return table


def _show_lacking(deployment: Deployment, lacking: dict[str, NamesLeftOut]) -> None:
    """Name the photographs whose pairs may be missing; apart from the result, which may be JSON."""
    if not lacking:
        return
    messages.print("Pairs may be missing, since these photographs look like too many names:")
    worst = sorted(lacking, key=lambda key: (-lacking[key].counted, key))
    for key in worst[:_SHOWN]:
        messages.say(f"  {key} {lacking[key].words}")
    if len(worst) > _SHOWN:
        messages.print(
            f"  and {len(worst) - _SHOWN:,} more: {deployment.command('query', 'left_out')}"
        )
    again = deployment.command("backfill", "--again", "--prefix", "KEY")
    messages.say(SEARCH_AGAIN)
    messages.say(f"  {again}")


def by_relation(pairs: Iterable[RecordPair]) -> list[RecordPair]:
    """Sort pairs by how their names relate: unrelated ones first, spellings of one name last.

    Pairs with a photograph of several people follow the others of their relation.
    """
    ranks = list(RELATIONS)
    return sorted(pairs, key=lambda pair: (ranks.index(pair.relation), pair.shows_several))


def tables_by_relation(pairs: Iterable[RecordPair]) -> Iterator[Table]:
    """Yield a table for each relation that there is, the one to look at first at first."""
    for relation, group in groupby(by_relation(pairs), key=lambda pair: pair.relation):
        found = list(group)
        count = f"{len(found)} {'pair' if len(found) == 1 else 'pairs'}"
        yield pairs_table(found, title=f"{count} with {RELATIONS[relation]}")


def pairs_table(pairs: Sequence[RecordPair], *, title: str | None = None) -> Table:
    """Who matches whom: two lines a pair, each a name and the photograph of the best pair.

    More lines say that a photograph shows several people, or that both are the same file.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("Similarity", justify="right", no_wrap=True)
    table.add_column("Names", overflow="fold")
    table.add_column("Best pair of photographs", overflow="fold", style="dim")
    table.add_column("Pairs", justify="right", no_wrap=True)
    decided = any(pair.decided_by for pair in pairs)
    if decided:
        table.add_column("Relation", overflow="fold")
        table.add_column("Decided", overflow="fold")
    for pair in pairs:
        table.add_row(
            percent(pair.similarity),
            Text("\n").join([safe(str(pair.identity_a)), safe(str(pair.identity_b))]),
            Text("\n").join(
                [
                    *_photograph(pair.key_a, pair.people_a),
                    *_photograph(pair.key_b, pair.people_b),
                    *([Text(SAME_FILE, style="yellow")] if pair.same_file else []),
                ]
            ),
            str(pair.image_pairs),
            *([Text(RELATIONS[pair.relation]), _decided(pair)] if decided else []),
            end_section=True,
        )
    return table


def _photograph(key: str, people: int | None) -> list[Text]:
    if people is None or people == 1:
        return [safe(key)]
    return [safe(key), Text(f"  {people_shown(people)}", style="yellow")]


def _decided(about: RecordPair | Conflict) -> Text:
    if not about.decided_by:
        return Text()
    of_pair = about if isinstance(about, RecordPair) else None
    words = [about.standing, *(of_pair.why if of_pair else ())]
    lines = [", ".join(word.replace("_", " ").lower() for word in words)]
    lines.append(f"{about.decided_by}, {(about.decided_at or '')[:10]}")
    lines += [of_pair.note] if of_pair and of_pair.note else []
    return Text("\n").join([safe(line) for line in lines])
