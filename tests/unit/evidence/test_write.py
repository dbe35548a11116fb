"""The evidence page's folder: what is in it, who can read it, what it replaces, what it leaves."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from PIL import Image

from facematch.cli.evidence import LIMIT
from facematch.errors import Actionable
from facematch.evidence.collect import Evidence, collect
from facematch.evidence.folders import (
    INDEX,
    MARKER,
    Deleted,
    EvidenceFolders,
    NotAPage,
)
from facematch.evidence.pictures import Missing
from facematch.evidence.write import Written, write_page
from functions.matching.decisions import Decided
from functions.matching.faces import Box
from tests.crafted import with_scans
from tests.unit.album import Album, face_of
from tests.unit.cloud import IMAGES, OUTPUT, deployment_of
from tests.unit.evidence.test_pictures import file_of, png_of, with_face

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.cloud import Cloud

PHOTOGRAPH = file_of(with_face((400, 300), (40, 60, 80, 80)))
HOSTILE = [
    "../../../../escaped_1.jpg",
    "a\\..\\..\\escaped_2.jpg",
    "/etc/escaped_3.jpg",
    "<img src=x onerror=alert(1)>_4.jpg",
    "C:escaped\n_5.jpg",
    "é" * 400 + "_6.jpg",
]


@pytest.fixture(autouse=True)
def _page_is_its_data() -> Iterator[None]:
    """The page itself has tests of its own, in a browser."""
    with patch("facematch.evidence.write.render", json.dumps):
        yield


class Page:
    """A page, where it is written, and the photographs that it is about."""

    def __init__(self, cloud: Cloud, room: Path) -> None:
        self.album = Album(cloud)
        self.deployment = deployment_of(cloud)
        self.pages = EvidenceFolders(room / "state")
        self.room = room
        self.folder = room / "page"

    def write(self, folder: Path | None = None, **options: Any) -> Written:
        return write_page(
            self.pages,
            self.deployment,
            folder or self.folder,
            **{"minimum": 0, "limit": LIMIT, "decisions_command": "import", **options},
        )

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / INDEX).read_text())
        return found

    @property
    def files(self) -> set[str]:
        found = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)) for path in found}

    @property
    def around(self) -> set[str]:
        """What is beside the folder, itself included."""
        return {path.name for path in self.room.iterdir()}


@pytest.fixture
def empty(cloud: Cloud, tmp_path: Path) -> Page:
    return Page(cloud, tmp_path)


@pytest.fixture
def page(empty: Page) -> Page:
    """Ann and Bo look alike."""
    ann = empty.album.add("Ann_1.jpg", PHOTOGRAPH)
    bo = empty.album.add("Bo_1.jpg", PHOTOGRAPH + b"\0")
    empty.album.match(ann, {bo: 99.5})
    return empty


# --- What is in it ---


def test_the_page_knows_which_photographs_are_the_same_file(empty: Page) -> None:
    ann, bo, cy = (empty.album.add(f"{name}_1.jpg", PHOTOGRAPH) for name in ("Ann", "Bo", "Cy"))
    other = empty.album.add("Cy_2.jpg", PHOTOGRAPH + b"\0")
    empty.album.match(ann, {bo: 99.99, cy: 99.99, other: 99.5})

    empty.write()

    content = {p["key"]: p["content"] for p in empty.document["photographs"]}
    assert content[ann.key] == content[bo.key] == content[cy.key] != content[other.key]
    assert None not in content.values()


def test_the_page_knows_how_the_names_of_each_pair_relate(empty: Page) -> None:
    ann, bea, ann_again = (
        empty.album.add(f"{name}_1.jpg", PHOTOGRAPH) for name in ("Ann Lee", "Bea Lee", "LEE, Ann")
    )
    empty.album.match(ann, {bea: 99.9, ann_again: 99.5})

    empty.write()

    assert sorted(empty.document["relations"]) == [
        ["name:Ann Lee", "name:Bea Lee", "SHARED_PART"],
        ["name:Ann Lee", "name:LEE, Ann", "VARIANT"],
    ]
    assert next(iter(empty.document["relation_words"])) == "UNRELATED"


def test_the_page_shows_both_faces_of_a_conflict_and_what_a_decision_is_about(
    empty: Page,
) -> None:
    for number in (1, 2):
        empty.album.report(empty.album.add(f"Ann Lee_{number}.jpg", PHOTOGRAPH))

    result = empty.write()

    shown = empty.document
    assert shown["conflicts"] == [
        {
            "record": "name:Ann Lee",
            "photograph": "photograph:images/Ann Lee_1.jpg",
            "faces": [0, 1],
            "photographs": 2,
        }
    ]
    assert shown["records"] == {"name:Ann Lee": "Ann Lee"}
    assert (shown["matches"], shown["conflicts_left_out"]) == ([], 0)
    for entry in (*shown["photographs"], *shown["faces"]):
        assert (result.index.parent / entry["file"]).is_file()


def test_the_page_says_how_many_people_a_photograph_shows_and_where_the_others_are(
    empty: Page,
) -> None:
    ann, bo = (empty.album.add(f"{name}_1.jpg", PHOTOGRAPH) for name in ("Ann", "Bo"))
    empty.album.match(ann, {bo: 99.5}, unindexed=[Box(0.5, 0.25, 0.25, 0.5)])
    empty.album.report(bo)

    empty.write()

    shown = empty.document
    assert [(p["people"], p["others"]) for p in shown["photographs"]] == [
        ("this photograph shows 2 people", [[0.5, 0.25, 0.25, 0.5]]),
        ("", []),
    ]
    assert "largest face" in shown["several_people_means"]


def test_the_page_names_the_worst_of_the_photographs_that_look_like_too_many_names(
    empty: Page,
) -> None:
    for number in range(101):
        image = empty.album.add(f"Ann_{number:03}.jpg", PHOTOGRAPH)
        empty.album.report(image, names_left_out=1 + number % 2)

    empty.write()

    lacking = empty.document["lacking"]
    assert (lacking["photographs"], len(lacking["worst"])) == (101, 100)
    assert lacking["worst"][0] == {
        "key": "images/Ann_001.jpg",
        "words": "looks like 2 more records than its report lists",
    }
    assert "facematch backfill --again --prefix KEY" in lacking["remedy"]


def test_the_page_has_what_it_shows(page: Page) -> None:
    page.album.decide(("Ann", "Bo"), Decided.UNSURE, 99.5, page.album.add("Cy_1.jpg"))

    result = page.write()

    assert result.index == page.folder / INDEX
    shown = page.document
    assert {name: shown[name] for name in ("schema", "stack", "local", "folder")} == {
        "schema": 1,
        "stack": "FaceMatching",
        "local": False,
        "folder": str(page.folder),
    }
    assert (shown["threshold"], shown["lowest"], shown["left_out"]) == (99, 99.5, 0)
    assert shown["delete_command"] == f"facematch evidence --delete --to {page.folder}"
    assert shown["matches"] == [[0, 1, 99.5]]
    assert shown["counts"]["MATCHED"] == 1
    assert [decision["decision"] for decision in shown["decisions"]] == ["UNSURE"]
    for photograph in shown["photographs"]:
        with Image.open(page.folder / photograph["file"]) as image:
            assert image.size == (photograph["width"], photograph["height"]) == (400, 300)
    for face in shown["faces"]:
        assert len(face["box"]) == 4
        with Image.open(page.folder / face["file"]) as image:
            assert image.size == (192, 192)
    pictures = {entry["file"] for entry in (*shown["photographs"], *shown["faces"])}
    assert len(pictures) == 4
    assert page.files == {INDEX, MARKER, ".gitignore", *pictures}
    assert json.loads((page.folder / MARKER).read_text())["counts"] == {
        "matches": 1,
        "photographs": 2,
        "faces": 2,
    }


def test_without_a_match_the_slider_begins_at_the_threshold(empty: Page) -> None:
    empty.album.cloud.set_threshold("97.5")

    empty.write()

    shown = empty.document
    assert (shown["matches"], shown["lowest"], shown["threshold"]) == ([], 97.5, 97.5)


def test_only_the_owner_can_read_the_folder(page: Page) -> None:
    page.folder.mkdir(mode=0o755)

    page.write()

    assert stat.S_IMODE(page.folder.stat().st_mode) == 0o700


def test_hostile_keys_lead_nowhere(empty: Page) -> None:
    ann = empty.album.add("Ann_1.jpg", PHOTOGRAPH)
    images = [empty.album.add(key, PHOTOGRAPH) for key in HOSTILE]
    empty.album.match(ann, dict.fromkeys(images, 99.0))

    empty.write()

    shown = empty.document
    assert {p["key"] for p in shown["photographs"]} == {ann.key, *(f"images/{k}" for k in HOSTILE)}
    for path in empty.files - {INDEX, MARKER, ".gitignore"}:
        assert re.fullmatch(r"(photographs|faces)/[0-9a-f]{32}\.jpg", path)
    assert len(empty.files) == 3 + 2 * (1 + len(HOSTILE))
    assert empty.around == {"page", "state"}


def test_what_has_no_picture_is_shown_without_one_and_told(empty: Page) -> None:
    fine = empty.album.add("Fine_1.jpg", PHOTOGRAPH)
    images = {
        name: empty.album.add(f"{name}_1.jpg", content)
        for name, content in {
            "Broken": PHOTOGRAPH[:800],
            "Text": b"not a photograph",
            "Bomb": png_of(50_000, 50_000),
            "Large": png_of(10_001, 10_000),
            "Heavy": PHOTOGRAPH + bytes(15 * 1024 * 1024),
            "Scans": with_scans(2000, hidden=True),
            "Denied": PHOTOGRAPH,
            "Gone": PHOTOGRAPH,
            "Slow": PHOTOGRAPH,
        }.items()
    }
    empty.album.match(fine, dict.fromkeys(images.values(), 99.0))
    refusals = {
        images["Denied"].key: ("AccessDenied", 403),
        images["Gone"].key: ("NoSuchVersion", 404),
        images["Slow"].key: ("SlowDown", 503),
    }

    def refuse(params: dict[str, Any], **_: Any) -> None:
        if found := refusals.get(params.get("Key", "")):
            raise empty.album.cloud.s3.exceptions.ClientError(
                {"Error": {"Code": found[0]}, "ResponseMetadata": {"HTTPStatusCode": found[1]}},
                "GetObject",
            )

    events = empty.album.cloud.s3.meta.events
    events.register("before-parameter-build.s3.GetObject", refuse)
    try:
        result = empty.write()
    finally:
        events.unregister("before-parameter-build.s3.GetObject", refuse)

    assert result.missing == {
        Missing.UNREADABLE: 2,
        Missing.TOO_LARGE: 3,
        Missing.TOO_COSTLY: 1,
        Missing.DENIED: 1,
        Missing.GONE: 1,
        Missing.UNAVAILABLE: 1,
    }
    shown = empty.document
    assert [p["key"] for p in shown["photographs"] if p["file"]] == [fine.key]
    assert [face["id"] for face in shown["faces"] if face["file"]] == [face_of(fine)]
    assert len(shown["matches"]) == len(images)


def test_a_photograph_that_takes_too_long_is_left_out_and_the_others_are_shown(empty: Page) -> None:
    costly = empty.album.add("Costly_1.jpg", with_scans(90, side=6000))
    fine = [empty.album.add(f"Fine_{number}.jpg", PHOTOGRAPH) for number in range(9)]
    empty.album.match(costly, dict.fromkeys(fine, 99.0))

    with patch("facematch.evidence.pictures.DEADLINE_SECONDS", 1):
        result = empty.write()

    assert result.missing == {Missing.TOO_COSTLY: 1}
    shown = {p["key"] for p in empty.document["photographs"] if p["file"]}
    assert shown == {image.key for image in fine}


def dying() -> Callable[..., object]:
    return lambda *_: os.kill(os.getpid(), signal.SIGKILL)


def test_a_photograph_whose_decoder_dies_is_told_as_such(page: Page) -> None:
    with patch("facematch.evidence.pictures.cropper", dying):
        result = page.write()

    assert result.missing == {Missing.CRASHED: 2}


def test_a_version_that_is_deleted_meanwhile_is_told_as_gone(page: Page) -> None:
    def collect_and_delete(*arguments: Any, **options: Any) -> Evidence:
        found = collect(*arguments, **options)
        for photograph in found.photographs:
            page.album.cloud.s3.delete_object(
                Bucket=IMAGES, Key=photograph.key, VersionId=photograph.version_id
            )
        return found

    with patch("facematch.evidence.write.collect", collect_and_delete):
        result = page.write()

    assert result.missing == {Missing.GONE: 2}


def test_without_versioning_photographs_are_found_too(empty: Page) -> None:
    empty.album.cloud.s3.create_bucket(
        Bucket="unversioned", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    empty.deployment.outputs["ImagesBucket"] = "unversioned"
    ann = empty.album.cloud.upload("images/Ann_1.jpg", PHOTOGRAPH, bucket="unversioned")
    bo = empty.album.cloud.upload("images/Bo_1.jpg", PHOTOGRAPH, bucket="unversioned")
    empty.album.match(ann, {bo: 99.0})

    result = empty.write()

    assert not result.missing
    assert len(empty.document["photographs"]) == 2


# --- What it replaces ---


def test_writing_again_replaces_the_page_and_leaves_nothing_of_it(page: Page) -> None:
    page.write()
    old = page.files
    page.album.cloud.s3.delete_object(Bucket=IMAGES, Key="images/Bo_1.jpg")
    removed = page.album.cloud.s3.list_objects_v2(Bucket=OUTPUT, Prefix="reports/")["Contents"]
    page.album.cloud.s3.delete_objects(
        Bucket=OUTPUT, Delete={"Objects": [{"Key": each["Key"]} for each in removed]}
    )

    page.write()

    assert page.document["matches"] == []
    assert len(old) == 7
    assert page.files == {INDEX, MARKER, ".gitignore"}
    assert page.around == {"page", "state"}


@pytest.mark.parametrize("inside", ["thesis.txt", INDEX, "photographs/holiday.jpg"])
def test_a_folder_of_somebody_else_is_neither_replaced_nor_deleted(page: Page, inside: str) -> None:
    path = page.folder / inside
    path.parent.mkdir(parents=True)
    path.write_text("three years of work")

    with pytest.raises(NotAPage):
        page.write()
    with pytest.raises(NotAPage):
        page.pages.delete(page.folder)

    assert path.read_text() == "three years of work"
    assert page.files == {inside}


def test_a_file_that_somebody_put_into_the_page_is_not_lost(page: Page) -> None:
    page.write()
    (page.folder / "decisions.json").write_text("a week of decisions")

    with pytest.raises(NotAPage, match=re.escape("decisions.json")):
        page.write()
    assert page.document["matches"]
    deleted = page.pages.delete(page.folder)

    assert page.files == {"decisions.json"}
    assert deleted.left == [page.folder / "decisions.json"]


def test_a_planted_marker_makes_no_page_of_a_folder(page: Page) -> None:
    """Of a real page, even: with files of the names that a page has beside it."""
    page.write()
    planted = page.room / "planted"
    mine = {
        INDEX: "my home page",
        ".gitignore": "*.log",
        "photographs/Ann_1.jpg": "a holiday",
        f"photographs/{'a' * 32}.jpg": "a wedding",
        f"faces/{'b' * 32}.jpg": "a passport",
    }
    for name, content in mine.items():
        (planted / name).parent.mkdir(parents=True, exist_ok=True)
        (planted / name).write_text(content)
    about = json.loads((page.folder / MARKER).read_text())
    for marker in (
        (page.folder / MARKER).read_text(),
        "{}",
        "",
        json.dumps({**about, "files": sorted(mine)}, indent=2),
    ):
        (planted / MARKER).write_text(marker)
        with pytest.raises(NotAPage):
            page.write(planted)
        try:
            deleted = page.pages.delete(planted)
        except NotAPage:
            deleted = Deleted([], [])
        assert deleted.pages in ([], [planted])
        assert {name: (planted / name).read_text() for name in mine} == mine
    assert page.document["matches"]


def test_a_planted_marker_where_a_page_was_once_gives_nothing_away(page: Page) -> None:
    page.write()
    shutil.rmtree(page.folder)
    page.folder.mkdir()
    (page.folder / INDEX).write_text("my home page")
    (page.folder / MARKER).write_text('{"stack": "FaceMatching", "local": false}')

    with pytest.raises(NotAPage, match="was not written by this installation"):
        page.pages.delete(page.folder)
    with pytest.raises(NotAPage):
        page.write()

    assert page.files == {INDEX, MARKER}


@pytest.mark.parametrize("where", ["photographs", "faces", ""])
def test_a_file_that_somebody_put_beside_the_faces_is_not_lost_either(
    page: Page, where: str
) -> None:
    page.write()
    name = f"{where}/{'c' * 32}.jpg".strip("/")
    (page.folder / name).write_text("a wedding")

    with pytest.raises(NotAPage, match=re.escape(name)):
        page.write()
    assert page.document["matches"]
    deleted = page.pages.delete(page.folder)

    assert deleted == Deleted([page.folder], [page.folder / name])
    assert page.files == {name}


def test_what_was_changed_in_the_page_since_is_left_and_named(page: Page) -> None:
    page.write()
    (page.folder / INDEX).write_text("my notes about the page")

    deleted = page.pages.delete(page.folder)

    assert deleted.left == [page.folder / INDEX]
    assert str(page.folder / INDEX) in deleted.left_words()
    assert page.files == {INDEX}


def test_no_link_in_the_page_is_followed(page: Page) -> None:
    page.write()
    mine = page.room / "mine"
    mine.mkdir()
    (face,) = [name for name in page.files if name.startswith("faces/")][:1]
    for name in (INDEX, face.rpartition("/")[2]):
        shutil.copy(page.folder / (face if name != INDEX else INDEX), mine / name)
    (page.folder / face).unlink()
    (page.folder / face).symlink_to(mine / face.rpartition("/")[2])
    shutil.copytree(page.folder / "photographs", mine / "photographs")
    kept = {path.name for path in mine.rglob("*")}
    shutil.rmtree(page.folder / "photographs")
    (page.folder / "photographs").symlink_to(mine / "photographs")

    deleted = page.pages.delete(page.folder)

    assert {path.name for path in mine.rglob("*")} == kept
    assert set(deleted.left) == {page.folder / face, page.folder / "photographs"}


def test_a_page_that_was_moved_can_be_deleted_where_it_is_now(page: Page) -> None:
    page.write()
    moved = page.room / "moved"
    page.folder.rename(moved)

    assert page.pages.delete(moved) == Deleted([moved], [])
    assert not moved.exists()


def test_a_page_from_before_the_register_is_deleted_and_replaced(page: Page) -> None:
    """Only the list of pages vouches for it, so files of other names stay."""
    other = page.room / "other"
    for folder in (page.folder, other):
        page.write(folder)
        marker = json.loads((folder / MARKER).read_text())
        del marker["id"]
        (folder / MARKER).write_text(json.dumps(marker))
    shutil.rmtree(page.room / "state" / "written")
    listed = page.room / "state" / "dashboards.json"
    items = [
        {key: value for key, value in item.items() if key != "registered"}
        for item in json.loads(listed.read_text())
    ]
    listed.write_text(json.dumps(items))
    (other / "photographs" / "Ann_1.jpg").write_text("a holiday")

    page.write()
    deleted = page.pages.delete(other)

    assert deleted == Deleted([other], [other / "photographs" / "Ann_1.jpg"])
    assert page.pages.delete(page.folder) == Deleted([page.folder], [])
    assert page.around == {"other", "state"}


@pytest.mark.parametrize("where", ["collect", "make_pictures", "render"])
def test_a_page_from_before_the_register_outlives_an_interruption(page: Page, where: str) -> None:
    page.write()
    shutil.rmtree(page.room / "state" / "written")
    listed = page.room / "state" / "dashboards.json"
    listed.write_text(listed.read_text().replace('"registered": true', '"registered": false'))

    with pytest.raises(Interrupted), patch(f"facematch.evidence.write.{where}", interrupt):
        page.write()

    page.write()
    assert page.pages.delete(page.folder) == Deleted([page.folder], [])


def test_what_is_put_into_the_page_while_it_is_replaced_is_kept_and_named(page: Page) -> None:
    page.write()

    def put(_done: int, _total: int) -> None:
        (page.folder / "notes.txt").write_text("mine")

    with pytest.raises(NotAPage, match=r"is written\..*\.page\.old/notes\.txt"):
        page.write(progress=put)

    assert page.document["matches"]
    assert (page.room / ".page.old" / "notes.txt").read_text() == "mine"


def test_nothing_stays_in_the_register_of_pages_that_were_deleted(page: Page) -> None:
    for _ in range(2):
        page.write()
    assert len(list((page.room / "state" / "written").iterdir())) == 1
    page.pages.delete(page.folder)
    assert list((page.room / "state" / "written").iterdir()) == []


def test_a_file_where_the_folder_should_be_is_told(empty: Page) -> None:
    empty.folder.write_text("a file")
    with pytest.raises(NotAPage):
        empty.write()
    assert empty.folder.read_text() == "a file"


def test_the_root_of_the_file_system_is_no_page(empty: Page) -> None:
    with pytest.raises(NotAPage, match="root of the file system"):
        empty.write(Path("/"))
    with pytest.raises(NotAPage, match="root of the file system"):
        empty.pages.delete(Path("/"))
    assert empty.pages.listed() == []


def test_what_cannot_be_written_is_a_sentence(page: Page) -> None:
    (page.room / "file").write_text("")
    with pytest.raises(Actionable, match="cannot be written"):
        page.write(page.room / "file" / "page")


class Interrupted(BaseException):
    pass


def interrupt(*_: Any, **__: Any) -> None:
    raise Interrupted


@pytest.mark.parametrize("where", ["collect", "make_pictures", "render"])
def test_an_interruption_leaves_the_old_page_and_nothing_beside_it(page: Page, where: str) -> None:
    page.write()
    old = page.document
    page.album.cloud.set_threshold("95")

    with pytest.raises(Interrupted), patch(f"facematch.evidence.write.{where}", interrupt):
        page.write()

    assert page.document == old
    assert page.around == {"page", "state"}
    page.write()
    assert page.document["threshold"] == 95


def test_an_interruption_between_the_old_page_and_the_new_one_leaves_the_old_one(
    page: Page,
) -> None:
    page.write()
    old = page.document
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name == ".page.new":
            raise Interrupted
        return rename(path, target)

    with pytest.raises(Interrupted), patch.object(Path, "rename", interrupted):
        page.write()

    assert page.document == old
    assert page.around == {"page", "state"}


def test_an_interruption_of_the_first_page_leaves_none(page: Page) -> None:
    with pytest.raises(Interrupted):
        page.write(progress=interrupt)
    assert page.around == {"state"}


@pytest.mark.parametrize("suffix", ["new", "old"])
def test_what_a_killed_command_left_is_removed_by_the_next_one_or_by_deleting(
    page: Page, suffix: str
) -> None:
    left = page.room / f".page.{suffix}"
    page.write()
    page.folder.rename(left)

    page.write()
    assert not left.exists()

    page.folder.rename(left)
    assert page.pages.delete(page.folder).pages
    assert page.around == {"state"}


def test_two_commands_do_not_write_at_once(page: Page) -> None:
    page.write()
    with (page.room / "state" / "dashboards.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Actionable, match="Another command"):
            page.write()
        with pytest.raises(Actionable, match="Another command"):
            page.pages.delete(page.folder)
    assert page.document["matches"]


# --- The list of them, and deleting ---


def test_every_page_is_listed_until_it_is_deleted(page: Page) -> None:
    other = page.room / "other page"
    for each in (page.folder, other, page.folder):
        page.write(each)

    assert [(item["folder"], item["stack"], item["local"]) for item in page.pages.listed()] == [
        (str(other), "FaceMatching", False),
        (str(page.folder), "FaceMatching", False),
    ]
    assert page.pages.delete(page.folder).pages
    assert not page.folder.exists()
    assert [item["folder"] for item in page.pages.listed()] == [str(other)]
    assert not page.pages.delete(page.folder).pages


@pytest.mark.parametrize("where", ["file/page", "page"])
def test_what_could_not_be_written_is_not_listed(empty: Page, where: str) -> None:
    (empty.room / "file").write_text("")
    with (
        pytest.raises((Actionable, Interrupted)),
        patch("facematch.evidence.write.collect", interrupt),
    ):
        empty.write(empty.room / where)
    assert empty.pages.listed() == []


def test_only_folders_that_hold_a_page_or_its_leftovers_are_pages(page: Page) -> None:
    folders = {name: page.room / name for name in ("whole", "left", "gone", "replaced")}
    for folder in folders.values():
        page.write(folder)
    folders["left"].rename(page.room / ".left.new")
    shutil.rmtree(folders["gone"])
    shutil.rmtree(folders["replaced"])
    folders["replaced"].mkdir()
    (folders["replaced"] / "thesis.txt").write_text("three years of work")

    expected = [folders["whole"], folders["left"]]
    assert page.pages.listed_of("FaceMatching", local=False) == expected
    assert page.pages.listed_of("FaceMatching", local=True) == []
    assert page.pages.drop_stale("Another", local=False) == []
    stale = page.pages.drop_stale("FaceMatching", local=False)
    assert stale == [folders["gone"], folders["replaced"]]
    assert [item["folder"] for item in page.pages.listed()] == [str(f) for f in expected]


def test_what_was_left_beside_the_folder_of_somebody_else_is_deleted(page: Page) -> None:
    page.write()
    left = page.room / ".page.new"
    page.folder.rename(left)
    page.folder.mkdir()
    (page.folder / "thesis.txt").write_text("three years of work")

    assert page.pages.delete(page.folder) == Deleted([left], [])

    assert page.files == {"thesis.txt"}
    assert page.around == {"page", "state"}
    assert page.pages.listed() == []


def test_a_page_is_listed_before_the_first_face_is_written(page: Page) -> None:
    listed: list[str] = []

    def look(done: int, total: int) -> None:
        listed.extend(item["folder"] for item in page.pages.listed())
        assert total == 2
        assert done in {1, 2}

    page.write(progress=look)

    assert listed == [str(page.folder)] * 2


def test_the_command_that_deletes_survives_a_shell(empty: Page) -> None:
    empty.folder = empty.room / "it's; rm -rf $HOME"
    assert shlex.split(EvidenceFolders.delete_command(empty.folder)) == [
        *("facematch", "evidence", "--delete", "--to"),
        str(empty.folder),
    ]


def test_stacks_of_one_name_in_two_places_have_folders_of_their_own(page: Page) -> None:
    folders = []
    for region in ("eu-west-1", "us-east-1"):
        page.deployment.outputs["StateMachineArn"] = f"arn:aws:states:{region}:1111:stateMachine:X"
        folders.append(page.pages.default_folder(page.deployment))
        page.write(folders[-1])
    page.write()

    assert len(set(folders)) == 2
    assert page.pages.in_default_folders("FaceMatching") == folders
    assert page.pages.in_default_folders("Face") == []
