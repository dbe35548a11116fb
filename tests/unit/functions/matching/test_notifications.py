"""The notification: its subject, its text, its document, within the limits of SNS."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from functions.aws.topics import MatchesTopic
from functions.matching.decisions import (
    DECIDED_BY_LIMIT,
    REOPENED_LIMIT,
    Judgement,
    NewEvidence,
    Reopened,
    records_digest,
)
from functions.matching.faces import Box, Match, SearchResult
from functions.matching.identity import Identity, name_in, record_of_name
from functions.matching.images import UploadedImage
from functions.matching.keys import external_image_id
from functions.matching.matches import pair_id
from functions.matching.names import relation
from functions.matching.notifications import Notification, notification, percent, printable
from functions.matching.reports import Outcome, Verdict, best_open_similarity
from tests.unit.functions.matching.test_images import IMAGE
from tests.unit.strategies import (
    NAMES_FROM,
    awkward,
    images,
    matches,
    s3_keys,
    texts,
    usable_keys,
)

SNS_LIMIT = 256 * 1024
ARN = "arn:aws:states:eu-central-1:123456789012:execution:FaceMatching:Ann_Lee_0001-0123"
NAMES = (texts | awkward).filter(lambda name: bool(name.strip()))


def match(name: str, similarity: float, *, key: str | None = None, face: str = "other") -> Match:
    return Match(
        searched_face_id="mine",
        face_id=face,
        key=key or f"images/{name}_1.jpg",
        name=name,
        similarity=similarity,
        box=Box(0.1, 0.1, 0.2, 0.2),
        relation=relation("Ann_Lee", name),
    )


def notify(
    *found: Match,
    image: UploadedImage = IMAGE,
    name: str = "Ann_Lee",
    threshold: float = 80.0,
    silenced: tuple[str, ...] = (),
    reopened: tuple[Reopened, ...] = (),
    names_left_out: int = 0,
    more_names_possible: bool = False,
    best_left_out: float = 0.0,
    same_files: tuple[str, ...] = (),
    prominent_faces: dict[str, int | None] | None = None,
) -> Notification:
    searched = SearchResult(
        matches=tuple(sorted(found, key=lambda m: -m.similarity)),
        left_out=names_left_out,
        names_left_out=names_left_out,
        more_names_possible=more_names_possible,
        best_left_out_similarity=best_left_out,
        same_name=0,
        unattributed=0,
        searched_at="2026-11-22T11:15:07.000Z",
    )
    best_open = best_open_similarity(
        searched, Judgement(silenced=tuple(map(record_of_name, silenced)))
    )
    verdict = Verdict(
        status=Outcome.MATCHED,
        best_similarity=searched.best_similarity,
        best_open_similarity=best_open,
        notify_similarity=max(best_open, best_left_out),
        notify_threshold=threshold,
        above_threshold=True,
        report_bucket="facematch-output",
        report_key=f"reports/dt={image.day}/{image.digest}.json",
        silenced=tuple(
            records_digest(record_of_name(name), record_of_name(other)) for other in silenced
        ),
        reopened=reopened,
        same_files=same_files,
        prominent_faces=prominent_faces or {},
    )
    return notification(image, Identity(name), searched, verdict, execution_arn=ARN)


class _Sns:
    """Measures a message as SNS does: its text and its attributes, in bytes."""

    size = 0

    def publish(self, **request: Any) -> dict[str, str]:
        self.size = len(request["Message"].encode())
        for name, attribute in request["MessageAttributes"].items():
            self.size += len(name) + sum(len(text.encode()) for text in attribute.values())
        return {"MessageId": "1"}


def size_of(made: Notification) -> int:
    sns = _Sns()
    MatchesTopic(sns, "topic").publish(made)  # type: ignore[arg-type] # the one call it makes
    return sns.size


def is_printable_line(text: str) -> bool:
    return not any(unicodedata.category(c) in {"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"} for c in text)


@given(name=NAMES, others=st.lists(NAMES, min_size=1, max_size=4))
@example(name="x" * 1000, others=["y" * 1000, "z" * 1000])
@example(name="Ann\r\nBcc: somebody", others=["\u202eeid", "\x7f"])
def test_the_subject_is_one_short_line_for_any_name(name: str, others: list[str]) -> None:
    subject = notify(*(match(other, 99.5) for other in others), name=name).subject
    assert 0 < len(subject) < 100
    assert is_printable_line(subject)


def test_the_subject_says_who_looks_like_whom() -> None:
    made = notify(match("Bo", 99.567), match("Cy", 99.1), match("Bo", 98.0, face="third"))
    assert made.subject == "99.56 %, unrelated names: Ann_Lee looks like Bo and 1 more"


@given(
    image=images(usable_keys()),
    name=NAMES,
    found=st.lists(matches(st.just("mine"), names=NAMES), min_size=1, max_size=25),
)
def test_the_document_is_json_and_says_which_pairs(
    image: UploadedImage, name: str, found: list[Match]
) -> None:
    made = notify(*found, image=image, name=name)
    document = json.loads(made.document)
    assert made.document.isascii()
    assert UploadedImage.from_payload(document["image"]) == image
    assert document["name"] == name
    assert document["pairs_in_report"] == len(found)
    assert document["pairs"][0]["similarity"] == max(one.similarity for one in found)
    assert len(document["pairs"]) == min(20, len(found))
    told = {pair["other_record"] for pair in document["pairs"]}
    assert len(told) == min(20, len({one.record for one in found}))
    ids = {pair_id("mine", one.face_id): one for one in found}
    for pair in document["pairs"]:
        assert ids[pair["pair_id"]].key == pair["other_key"]
        assert ids[pair["pair_id"]].name == pair["other_name"]


def test_many_photographs_under_one_name_do_not_push_another_name_out() -> None:
    decoys = [match("Decoy", 99.9, face=f"decoy-{n}") for n in range(105)]
    made = notify(*decoys, match("Bo", 99.5))
    document = json.loads(made.document)
    assert document["other_names"] == ["Decoy", "Bo"]
    assert [p["other_name"] for p in document["pairs"]] == ["Decoy", "Bo"] + ["Decoy"] * 18
    assert "images/Bo_1.jpg" in made.text
    assert "and 86 more: see the report" in made.text


def test_a_copied_photograph_is_called_that_and_another_one_is_not() -> None:
    made = notify(
        match("Bo", 99.99), match("Cy", 99.95, face="third"), same_files=("images/Bo_1.jpg",)
    )

    assert (
        "99.99 %  Bo: unrelated names\n"
        "         s3://facematch-images/images/Bo_1.jpg\n"
        "         The two photographs are the same file.\n"
        "99.95 %  Cy: unrelated names\n"
        "         s3://facematch-images/images/Cy_1.jpg\n"
        "\n"
        "One file under two names"
    ) in made.text
    pairs = json.loads(made.document)["pairs"]
    assert [(pair["other_name"], pair["same_file"]) for pair in pairs] == [
        ("Bo", True),
        ("Cy", False),
    ]
    assert "same file" not in notify(match("Bo", 99.99)).text


def test_names_that_the_report_leaves_out_are_told_with_what_to_do() -> None:
    made = notify(match("Bo", 99.5), names_left_out=6, best_left_out=99.456)
    assert made.subject == "99.50 %, unrelated names: Ann_Lee looks like Bo"
    assert (
        "The photograph looks like 6 more records than its report lists, by 99.45 % at most.\n"
    ) in made.text
    assert "\n  facematch backfill --again --prefix images/Ann_Lee_0001.jpg\n" in made.text
    document = json.loads(made.document)
    assert (document["names_left_out"], document["more_names_possible"]) == (6, False)
    assert document["best_left_out_similarity"] == 99.456


def test_without_an_open_match_the_names_left_out_are_the_message() -> None:
    made = notify(match("Bo", 99.9), silenced=("Bo",), names_left_out=1, best_left_out=99.5)
    assert made.subject == "99.50 %: Ann_Lee looks like 1 more record than its report lists"
    assert "Bo" not in made.text + made.document
    document = json.loads(made.document)
    assert (document["other_names"], document["pairs"], document["best_similarity"]) == ([], [], 0)
    # SNS documents no empty array, and a filter for strong evidence must let it through.
    assert "other_names" not in made.attributes
    assert made.attributes["best_similarity"] == 99.5


@pytest.mark.parametrize(
    ("names_left_out", "words"),
    [(0, "may look like more records"), (2, "looks like at least 2 more records")],
)
def test_names_that_nobody_could_count_are_not_counted(names_left_out: int, words: str) -> None:
    made = notify(names_left_out=names_left_out, more_names_possible=True, best_left_out=99.0)
    assert made.subject == f"99.00 %: Ann_Lee {words} than its report lists"
    assert f"The photograph {words} than its report lists" in made.text
    assert json.loads(made.document)["more_names_possible"] is True


def test_a_complete_report_is_told_without_a_word_about_names_left_out() -> None:
    assert "than its report lists" not in notify(match("Bo", 99.5)).text


def test_a_photograph_of_several_people_is_said_at_its_pair() -> None:
    bo, cy, di = (match(name, 99.0 + at / 10) for at, name in enumerate(("Bo", "Cy", "Di")))
    made = notify(bo, cy, di, prominent_faces={IMAGE.key: 1, bo.key: 3, cy.key: 1, di.key: None})

    assert made.attributes["subject"] == ["SINGLE", "LARGEST_OF_SEVERAL", "UNKNOWN"]
    pairs = json.loads(made.document)["pairs"]
    assert [(p["other_name"], p["subject"], p["other_prominent_faces"]) for p in pairs] == [
        ("Di", "UNKNOWN", None),
        ("Cy", "SINGLE", 1),
        ("Bo", "LARGEST_OF_SEVERAL", 3),
    ]
    lines = made.text.splitlines()
    said = [line for line in lines if "shows" in line]
    assert said == ["         this photograph shows 3 people"]
    assert lines[lines.index(said[0]) - 1].endswith(bo.key)
    assert "compared by its largest face" in made.text


def test_a_photograph_of_several_people_makes_all_of_its_pairs_uncertain() -> None:
    made = notify(match("Bo", 99.5), prominent_faces={IMAGE.key: 2, "images/Bo_1.jpg": 1})

    assert made.attributes["subject"] == ["LARGEST_OF_SEVERAL"]
    lines = made.text.splitlines()
    (said,) = [number for number, line in enumerate(lines) if "shows 2 people" in line]
    assert lines[said - 1].startswith("Uploaded:")


def test_a_message_about_photographs_of_one_person_does_not_mention_others() -> None:
    made = notify(match("Bo", 99.5), prominent_faces={IMAGE.key: 1, "images/Bo_1.jpg": 1})

    assert made.attributes["subject"] == ["SINGLE"]
    assert "people" not in made.text.replace("anything is decided", "")


def test_a_filter_by_subject_loses_no_pair_that_was_left_out() -> None:
    assert notify(names_left_out=1).attributes["subject"] == ["LEFT_OUT"]


def test_the_relations_of_the_pairs_are_an_attribute_and_are_said() -> None:
    made = notify(
        match("Bo", 99.9), match("Ann Lee", 99.8), match("Anne Lee", 99.7), match("Cy", 99.6)
    )
    assert made.attributes["relation"] == ["UNRELATED", "SAME_NAME", "VARIANT"]
    assert [pair["relation"] for pair in json.loads(made.document)["pairs"]] == [
        *("UNRELATED", "SAME_NAME", "VARIANT", "UNRELATED"),
    ]
    for words in ("Bo: unrelated names", "Anne Lee: two spellings of one name"):
        assert words in made.text


def test_what_a_report_leaves_out_may_relate_in_any_way() -> None:
    assert notify(names_left_out=1).attributes["relation"] == ["LEFT_OUT"]
    made = notify(match("Bo", 99.5), more_names_possible=True)
    assert made.attributes["relation"] == ["UNRELATED", "LEFT_OUT"]


def test_two_records_with_one_name_are_told_apart_by_their_ids() -> None:
    other = replace(match("Ann Lee", 99.5), record="id:007")
    made = notify(other)
    assert made.subject == "99.50 %, the same name: Ann_Lee looks like Ann Lee (id 007)"
    assert json.loads(made.document)["pairs"][0]["other_record"] == "id:007"


def test_a_repeated_notification_is_the_same() -> None:
    assert notify(match("Bo", 99.5)) == notify(match("Bo", 99.5))


def test_only_pairs_that_pass_the_threshold_are_told() -> None:
    made = notify(match("Bo", 99.5), match("Cy", 98.9), threshold=99.0)
    document = json.loads(made.document)
    assert document["other_names"] == ["Bo"]
    assert made.attributes["other_names"] == ["Bo"]
    assert "Cy" not in made.text + made.document


def reopened_pair(name: str, decided_by: str = "Rea Viewer") -> Reopened:
    return Reopened(
        name=name,
        why=tuple(NewEvidence),
        decided_by=decided_by,
        decided_at="2026-11-20T09:00:00.000Z",
        similarity=99.1,
    )


def test_a_pair_that_was_decided_against_is_not_told_among_others() -> None:
    made = notify(match("Cy", 99.9), match("Bo", 99.5), silenced=("Cy",))
    document = json.loads(made.document)
    assert [pair["other_name"] for pair in document["pairs"]] == document["other_names"] == ["Bo"]
    assert document["best_similarity"] == made.attributes["best_similarity"] == 99.5
    assert made.subject == "99.50 %, unrelated names: Ann_Lee looks like Bo"
    assert "Cy" not in made.text + made.document


def test_a_pair_that_opens_again_says_why() -> None:
    made = notify(match("Bo", 99.5), reopened=(reopened_pair("Bo"),))
    assert (
        "Ann_Lee and Bo were decided to be different people (Rea Viewer, 2026-11-20, at 99.10 %).\n"
        "The pair is open again, because there is a higher similarity and a photograph that was "
        "not there since.\n"
    ) in made.text
    (told,) = json.loads(made.document)["reopened"]
    assert told == {
        "other_name": "Bo",
        "other_record": "name:Bo",
        "why": ["HIGHER_SIMILARITY", "NEW_PHOTOGRAPH"],
        "decided_by": "Rea Viewer",
        "decided_at": "2026-11-20T09:00:00.000Z",
        "decided_similarity": 99.1,
    }


@given(key=usable_keys(), found=st.lists(matches(st.just("mine"), names=NAMES), min_size=1))
def test_a_key_cannot_forge_a_line_of_the_text(key: str, found: list[Match]) -> None:
    plain = notify(*(replace(one, key="k", name="n") for one in found))
    awkward_one = notify(*found, image=replace(IMAGE, key=key), name="\n".join(["Ann"] * 3))
    assert awkward_one.text.count("\n") == plain.text.count("\n")
    assert all(is_printable_line(line) for line in awkward_one.text.split("\n"))


@pytest.mark.parametrize("character", ["\x01", "\U0001d160", "\\", '"', "é", "a", "\ufdfa"])
def test_the_largest_message_fits_into_sns(character: str) -> None:
    longest = max(
        (f"images/{'-' * pad}{character * n}" for n in range(1, 256) for pad in (0, 1)),
        key=lambda key: len(json.dumps(key)) if external_image_id(key) else 0,
    )
    name = name_in(longest, NAMES_FROM) or ""
    found = [match(f"{name}{n}", 99.5, key=longest, face=f"{n}") for n in range(100)]
    reopened = (reopened_pair(name, decided_by=character * DECIDED_BY_LIMIT),) * REOPENED_LIMIT
    made = notify(*found, image=replace(IMAGE, key=longest), name=name, reopened=reopened)
    assert len(json.loads(made.document)["pairs"]) == 20
    assert size_of(made) < SNS_LIMIT


@given(name=s3_keys())
def test_attributes_are_never_empty(name: str) -> None:
    assume(name.strip())
    attributes = notify(match(name, 99.0), name=name).attributes
    assert attributes["name"]
    assert attributes["other_names"]


@given(text=st.text())
def test_printable_text_is_one_line_of_the_same_length(text: str) -> None:
    assert is_printable_line(printable(text))
    assert len(printable(text)) == len(text)


@given(hundredths=st.integers(0, 10000))
@example(hundredths=8074)
def test_two_places_are_read_as_they_are(hundredths: int) -> None:
    assert percent(hundredths / 100) == f"{hundredths / 100:.2f} %"


@pytest.mark.parametrize(
    ("similarity", "text"),
    [(98.9999, "98.99 %"), (99.99999, "99.99 %"), (100.0, "100.00 %"), (80.006, "80.00 %")],
)
def test_what_is_below_never_reads_as_above(similarity: float, text: str) -> None:
    assert percent(similarity) == text


def test_many_photographs_of_one_record_do_not_push_a_namesake_out() -> None:
    decoys = [replace(match("Bo", 99.9, face=f"decoy-{n}"), record="id:1") for n in range(25)]
    made = notify(*decoys, replace(match("Bo", 99.5), record="id:2"))
    told = [pair["other_record"] for pair in json.loads(made.document)["pairs"]]
    assert told == ["id:1", "id:2"] + ["id:1"] * 18
    assert made.subject.endswith("looks like Bo (id 1) and 1 more")
