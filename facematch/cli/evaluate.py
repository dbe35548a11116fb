"""The command that measures how accurate the matching is."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from facematch.cli.options import AsJson, Profile, Region
from facematch.cli.terminal import (
    messages,
    output,
    print_json,
    progress,
    safe,
    show_left_out,
    show_names,
    table,
)
from facematch.errors import Unusable
from facematch.evaluation.labels import Labelled
from facematch.operations.names import names_read
from facematch.planning.prices import cost_of_calls
from functions.matching.identity import FROM_FILE, compiled_names_from
from functions.matching.notifications import percent
from workflow.project import STATE_ROOT, private_folder

if TYPE_CHECKING:
    from facematch.evaluation.faces import Faces

#: Numbers of faces for which wrong pairs are foretold, and false match rates that are looked for.
FACES: Final = (1_000, 10_000, 100_000, 1_000_000)
RATES: Final = (1e-3, 1e-4, 1e-5, 1e-6)
_HARDEST: Final = 5


class Quality(StrEnum):
    """How good a face must be: Rekognition's settings."""

    NONE = "NONE"
    AUTO = "AUTO"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


def evaluate(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    *,
    names_from: Annotated[
        str, typer.Option(help="file, folder, or a regular expression with a group `name`.")
    ] = FROM_FILE,
    same: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV name_a,name_b: one person's names."),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV name,group: rates by group, too."),
    ] = None,
    fmr: Annotated[
        list[float] | None,
        typer.Option(min=0, max=1, help="A wanted false match rate; may be repeated."),
    ] = None,
    faces: Annotated[
        list[int] | None,
        typer.Option(min=2, help="How many wrong pairs so many faces make; may be repeated."),
    ] = None,
    max_faces: Annotated[
        int, typer.Option(min=1, max=100, help="Faces of each photograph, the largest.")
    ] = 1,
    quality_filter: Annotated[
        Quality, typer.Option(help="How good a face must be.")
    ] = Quality.AUTO,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Of the face engine; by default one for each core.")
    ] = None,
    data_set: Annotated[
        str | None, typer.Option(help="What the photographs are called; default: the folder.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="The folder of the page; default: in .facematch."),
    ] = None,
    to_publish: Annotated[
        Path | None,
        typer.Option(
            "--output", dir_okay=False, help="Write the figures there, without anybody's name."
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the local engine's rates by cosine there."),
    ] = None,
    aws: Annotated[
        bool, typer.Option("--aws", help="With Amazon Rekognition, in a temporary collection.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    profile: Profile = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Measure how accurate the matching is, on photographs that are named after people.

    True and false match rates at each threshold, the threshold for a wanted false match rate, how
    many wrong pairs of names larger piles will have, and the hardest pairs as pictures.
    """
    from facematch.evaluation.folder import require_evaluation, write_folder  # noqa: PLC0415
    from facematch.evaluation.labels import Persons, labelled_photographs, read_groups, read_persons  # noqa: PLC0415
    from facematch.evaluation.measure import Asked, conditions, measured, published  # noqa: PLC0415
    from facematch.evaluation.reference import data_file  # noqa: PLC0415

    if aws and reference:
        raise Unusable(
            "--reference measures the local engine's curve, and --aws asks Amazon Rekognition, "
            "which tells no cosines. Leave out one of them."
        )
    labelled = labelled_photographs(folder, _pattern(names_from))
    show_left_out(labelled.left_out)
    show_names(
        names_read(
            [*(each.key for each in labelled.photographs), *labelled.unnamed],
            _pattern(names_from),
        ),
        "If each person has a folder, add:\n  --names-from folder\n"
        "Otherwise rename the photographs, or give a regular expression.",
    )
    persons = read_persons(same) if same else Persons()
    group_of = read_groups(groups, persons) if groups else None
    page_folder = (to or private_folder(STATE_ROOT) / "evaluation").expanduser().resolve()
    require_evaluation(page_folder)
    if aws:
        found = _on_aws(
            labelled,
            max_faces=max_faces,
            quality_filter=quality_filter,
            yes=yes,
            profile=profile,
            region=region,
        )
    else:
        found = _here(
            labelled,
            max_faces=max_faces,
            quality_filter=quality_filter,
            processes=processes or os.cpu_count() or 1,
        )
    if not found.faces:
        raise Unusable(
            f"No photograph in {folder} has a usable face "
            f"({', '.join(sorted(set(found.refused.values())))}). Name another folder, or a lower "
            "bar with --quality-filter NONE."
        )
    with messages.status("comparing all faces with each other"):
        document = measured(
            labelled,
            found,
            persons,
            Asked(
                wanted=tuple(fmr or RATES),
                faces=tuple(faces or FACES),
                groups=group_of,
                curve=bool(reference),
            ),
            conditions=conditions(
                data_set=data_set or folder.resolve().name,
                command=_command(
                    {"--same": same, "--groups": groups, "--reference": reference},
                    {
                        "--names-from": names_from,
                        "--data-set": data_set,
                        "--max-faces": max_faces,
                        "--quality-filter": quality_filter,
                    },
                    aws=aws,
                ),
                max_faces=max_faces,
                quality_filter=str(quality_filter),
                names_from=names_from,
            ),
        )
        index = write_folder(page_folder, document, labelled, found)
    if to_publish:
        _write(to_publish, published(document))
    if reference:
        curve = data_file(document)
        _write(reference, curve)
        lowest = curve["false_matches"][-1]
        messages.say(
            f"{reference}: the reference curve, {len(curve['false_matches'])} points, down to "
            f"{lowest['count']:,} false matches at a cosine of {lowest['cosine']:g}."
        )
    if as_json:
        print_json(document, indent=2)
        return
    _show(document)
    output.say(
        f"{index.as_uri()}: with the hardest pairs as pictures. The folder holds biometric data: "
        "delete it when you are done."
    )


def _write(file: Path, document: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2) + "\n")


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return compiled_names_from(text)
    except ValueError as error:
        raise Unusable(f"--names-from: {error}. Give one as (?P<name>...) in it.") from None


def _here(labelled: Labelled, *, max_faces: int, quality_filter: Quality, processes: int) -> Faces:
    from facematch.evaluation.faces import found_by_engine  # noqa: PLC0415
    from facematch.local.rekognition.faces import QualityFilter  # noqa: PLC0415

    with progress() as bars:
        task = bars.add_task("faces found", total=len(labelled.photographs))
        return found_by_engine(
            labelled.photographs,
            max_faces=max_faces,
            quality_filter=QualityFilter(quality_filter),
            processes=processes,
            done=lambda: bars.advance(task),
        )


def _on_aws(
    labelled: Labelled,
    *,
    max_faces: int,
    quality_filter: Quality,
    yes: bool,
    profile: str | None,
    region: str | None,
) -> Faces:
    from facematch.evaluation.aws import beforehand, found_by_rekognition  # noqa: PLC0415
    from facematch.stack.temporary_collection import TemporaryCollection  # noqa: PLC0415

    collection = TemporaryCollection.on_aws(profile=profile, region=region)
    count = len(labelled.photographs)
    for sentence in beforehand(
        count,
        max_faces=max_faces,
        region=collection.region,
        cost_of_calls=functools.partial(cost_of_calls, collection.region),
    ):
        messages.say(sentence)
    if not yes:
        typer.confirm("Go on?", abort=True, err=True)
    with progress() as bars:
        task = bars.add_task("photographs indexed", total=count)
        return found_by_rekognition(
            collection,
            labelled.photographs,
            max_faces=max_faces,
            quality_filter=str(quality_filter),
            progress=lambda what, done, total: bars.update(
                task, description=what, completed=done, total=total
            ),
        )


def _command(files: Mapping[str, Path | None], options: Mapping[str, object], *, aws: bool) -> str:
    """The command as anybody can repeat it, without the paths of this machine."""
    usual = {
        "--names-from": FROM_FILE,
        "--max-faces": 1,
        "--quality-filter": Quality.AUTO,
        "--data-set": None,
    }
    words = ["facematch", "evaluate", "DIR"]
    words += [word for option, path in files.items() if path for word in (option, "FILE")]
    for option, value in options.items():
        if value != usual[option]:
            words += [option, str(value)]
    return shlex.join([*words, *(["--aws"] if aws else [])])


def _show(document: Mapping[str, Any]) -> None:
    from facematch.evaluation.wording import (  # noqa: PLC0415
        best_rows,
        expected_rows,
        group_rows,
        sentences,
        single_subject_rows,
        single_subject_title,
        threshold_rows,
    )

    sample, conditions = document["sample"], document["conditions"]
    title = (
        f"{conditions['data_set']}: {sample['faces']:,} faces of {sample['people']:,} people, "
        f"{sample['same_person_pairs']:,} pairs of one person, "
        f"{sample['different_person_pairs']:,} of different people"
    )
    _print_table(title, *threshold_rows(document))
    if document["single_subject"]:
        _print_table(single_subject_title(document), *single_subject_rows(document))
    _print_table("The threshold for a wanted false match rate", *best_rows(document))
    _print_table("Wrong pairs of names to expect", *expected_rows(document))
    if document["groups"]:
        _print_table("By group", *group_rows(document))
    people = document["people"]
    for what, pairs in (
        ("Different people, most similar first", people["most_similar_different"]),
        ("The same person, least similar first", people["least_similar_same"]),
    ):
        rows = [
            [percent(pair["similarity"]), pair["key_a"], pair["key_b"]] for pair in pairs[:_HARDEST]
        ]
        _print_table(what, ["Similarity", "Photograph", "Photograph"], rows)
    for sentence in sentences(document):
        output.print(safe(sentence))
    for name in people["unknown_names"]:
        messages.print(safe(f"{name} of the file of same persons is on no photograph."))


def _print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    output.print(table(head, rows, numbers=head[:1], title=title))
