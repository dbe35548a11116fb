"""The relation of two names, decided by the parts that find no partner.

As in the name matching of OpenSanctions (rigour; "logic-v2" of nomenklatura), parts are compared by
what they stand for. A score over the whole name would take Paul Fuchs and Paula Fuchs for one
person.
"""

from __future__ import annotations

from functions.matching.names import characters
from functions.matching.names.agreement import Match
from functions.matching.names.pairing import pairing
from functions.matching.names.parts import Name, parsed
from functions.matching.normal import normalised
from functions.matching.relations import Relation


def relation(a: str, b: str) -> Relation:
    """Return how two names relate; the order of the two does not matter."""
    a, b = sorted((normalised(a), normalised(b)))
    if not a:
        return Relation.UNKNOWN
    if a == b:
        return Relation.SAME_NAME
    name, other = parsed(a), parsed(b)
    if name.characters or other.characters:
        return _with_characters(name, other)
    if not name.parts or not other.parts:
        return Relation.UNKNOWN
    return _in_letters(name, other)


def _in_letters(a: Name, b: Name) -> Relation:
    if a.korean & b.korean:
        return Relation.VARIANT
    found = _by_parts(a, b)
    if found is not Relation.UNRELATED:
        return found
    if {family for family, _ in a.korean} & {family for family, _ in b.korean}:
        return Relation.SHARED_PART
    return Relation.UNKNOWN if a.unknown or b.unknown else Relation.UNRELATED


def _by_parts(a: Name, b: Name) -> Relation:
    found = pairing(a.parts, b.parts)
    explained = found.explained
    enough = len(found.matches) + explained > 1 or len(a.parts) == len(b.parts) == 1
    complete = explained or not found.left_short
    if complete and enough and not (a.cut or b.cut) and max(found.matches) >= Match.NAME:
        return Relation.VARIANT
    shared = any(match is not Match.INITIAL for match in found.matches)
    return Relation.SHARED_PART if shared else Relation.UNRELATED


def _with_characters(a: Name, b: Name) -> Relation:
    if a.cut or b.cut:
        return Relation.UNKNOWN
    if a.characters and b.characters:
        return Relation(characters.relation(a.characters, b.characters))
    written, other = (a, b) if a.characters else (b, a)
    if not other.parts or any(not part.latin or part.script == "HANGUL" for part in other.parts):
        return Relation.UNKNOWN
    words = [part.latin for part in other.parts]
    return Relation(characters.relation_to_latin(written.characters, words))
