"""How two names relate, by kinds of names; the pairs are invented, or public figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.matching.names import Relation, relation

VARIANTS = {
    "diacritics": [("Łukasz Żak", "Lukasz Zak"), ("Søren Ærø", "Soren Aero")],
    "umlauts": [("Jörg Müller", "Joerg Mueller"), ("Håkan Bråten", "Haakan Braaten")],
    "sharp s": [("Uwe Voß", "Uwe Voss")],
    "case": [("ann lee", "ANN LEE"), ("ΝΙΚΟΣ ΠΑΠΠΑΣ", "Νίκος Παππάς")],
    "order": [
        ("Lee, Ann", "Ann Lee"),
        ("Mao Zedong", "Zedong Mao"),
        ("Curie_Marie", "Marie Curie"),
    ],
    "separators": [
        ("Jean-Paul Sartre", "Jean Paul Sartre"),
        ("JeanPaul Sartre", "Jean-Paul Sartre"),
    ],
    "titles": [("Dr. Ada Byron", "Ada Byron"), ("Sir Isaac Newton", "Isaac Newton")],
    "suffixes": [("Robert Downey Jr.", "Robert Downey"), ("Henry Ford II", "Henry Ford")],
    "particles": [
        ("Ludwig van Beethoven", "Ludwig Beethoven"),
        ("Guido van der Rossum", "Guido Vanderrossum"),
        ("Osama bin Laden", "Usama ben Ladin"),
        ("Nadia al-Khatib", "Nadia Alkhatib"),
    ],
    "middle names": [("John Fitzgerald Kennedy", "John Kennedy")],
    "initials": [
        ("CS Lewis", "Clive Staples Lewis"),
        ("J. R. Tolkien", "John Ronald Tolkien"),
        ("Rowling, J.", "Joanne Rowling"),
    ],
    "married names": [("Hillary Clinton", "Hillary Rodham-Clinton")],
    "patronymics": [("Lev Nikolayevich Tolstoy", "Lev Tolstoy")],
    "nicknames": [
        ("Bill Clinton", "William Clinton"),
        ("Pepe Mujica", "José Mujica"),
        ("Sasha Petrov", "Aleksandr Petrov"),
        ("Kasia Nowak", "Katarzyna Nowak"),
        ("Beppe Grillo", "Giuseppe Grillo"),
        ("Fritz Walter", "Friedrich Walter"),
    ],
    "spellings": [("Stephen Hawkins", "Steven Hawkins"), ("Erik Blomqvist", "Eric Blomkvist")],
    "Arabic in Latin letters": [
        ("Mohammed El-Baradei", "Muhammad al Baradei"),
        ("Hussein Khoury", "Husayn Khouri"),
        ("Abdul Rahman Saleh", "Abdulrahman Salih"),
    ],
    "Russian in Latin letters": [
        ("Mikhail Gorbachev", "Michail Gorbatchev"),
        ("Dostoyevsky Fyodor", "Fedor Dostoevskii"),
    ],
    "Chinese in Latin letters": [("Deng Xiaoping", "Teng Hsiao-ping")],
    "Korean in Latin letters": [("Park Geun-hye", "Pak Keun Hye"), ("Lee Jae-yong", "Yi Jaeyong")],
    "Japanese in Latin letters": [("Yūko Ōta", "Yuuko Ohta"), ("Junichi Saitou", "Jun'ichi Saitō")],
    "Cyrillic": [("Владимир Жуков", "Vladimir Zhukov"), ("Юлия Щербакова", "Yulia Shcherbakova")],
    "Greek": [("Μελίνα Μερκούρη", "Melina Merkouri"), ("Αλέξης Τσίπρας", "Alexis Tsipras")],
    "Hebrew": [("יצחק רבין", "Yitzhak Rabin"), ("שמעון פרס", "Shimon Peres")],
    "Arabic": [("جمال عبد الناصر", "Gamal Abdel Nasser"), ("نجيب محفوظ", "Naguib Mahfouz")],
    "Devanagari": [("नरेंद्र मोदी", "Narendra Modi"), ("राजेश खन्ना", "Rajesh Khanna")],
    "Bengali": [("মমতা বর্মন", "Mamata Barman")],
    "Georgian": [("მიხეილ სააკაშვილი", "Mikheil Saakashvili")],
    "Armenian": [("Սերժ Սարգսյան", "Serzh Sargsyan")],
    "Hangul": [("김연아", "Kim Yuna"), ("문재인", "Moon Jae-in")],
    "kana": [("アベ シンゾウ", "Abe Shinzo")],
    "Chinese characters": [
        ("马英九", "馬英九"),
        ("习近平", "Xi Jinping"),
        ("小泉純一郎", "Koizumi Junichiro"),
    ],
    "typing errors": [
        ("Arnold Schwarzenegger", "Arnold Schwarzeneger"),
        ("Ada Montgomrey", "Ada Montgomery"),
    ],
}
SHARED = {
    "family name": [("Ann Lee", "Bruce Lee"), ("John Kennedy", "Robert Kennedy")],
    "given name": [("Ann Lee", "Ann Smith"), ("Winston Churchill", "Winston Graham")],
    "close given names": [
        ("Luca Rossi", "Lucia Rossi"),
        ("Maria Rossi", "Marta Rossi"),
        ("Ivan Hall", "Evan Hall"),
        ("Viktor Braun", "Viktoria Braun"),
        ("Marina Braun", "Martina Braun"),
        ("Dina Lu", "Nina Lu"),
        ("Ben Blake Moore", "Tom Blake Moore"),
        ("Don Blake-Moore", "Tom Blake-Moore"),
    ],
    "women's family names": [("Ivan Petrov", "Olga Petrova"), ("Jan Dvořák", "Eva Dvořáková")],
    "other initials": [("J. Tolkien", "C. Tolkien")],
    "other middle names": [("John Adam Smith", "John Bert Smith")],
    "scripts": [("Иван Жуков", "Olga Zhukova"), ("김연아", "Kim Dae-jung"), ("李娜", "Li Bai")],
    "nicknames": [("Bill Clinton", "William Gates")],
    "one name": [("Madonna", "Madonna Ciccone")],
}
UNRELATED = {
    "Latin": [("Ann Lee", "Bob Smith"), ("Marie Curie", "Max Planck")],
    "close names": [("Dan Jackson", "Don Johnson"), ("Hans Weber", "Hanna Wagner")],
    "titles and particles": [
        ("Dr. Ann Lee", "Dr. Bob Smith"),
        ("Vincent van Gogh", "Ludwig van Beethoven"),
    ],
    "initials": [("John Smith", "Jane Sully"), ("J. S.", "John Smith")],
    "Chinese": [("Lin Dan", "Zhou Bo"), ("Chen Hua", "Zhang Yu")],
    "scripts": [
        ("Иван Жуков", "Max Planck"),
        ("محمد علي", "Eva Braun"),
        ("山田花子", "Max Planck"),
    ],
    "two other scripts": [("Иван Жуков", "Μελίνα Μερκούρη")],
}


def _cases(kinds: dict[str, list[tuple[str, str]]]) -> list[object]:
    return [
        pytest.param(*pair, id=f"{kind}: {pair[0]}")
        for kind, pairs in kinds.items()
        for pair in pairs
    ]


@pytest.mark.parametrize(("a", "b"), _cases(VARIANTS))
def test_one_name_in_two_spellings_is_a_variant(a: str, b: str) -> None:
    assert relation(a, b) is Relation.VARIANT


@pytest.mark.parametrize(("a", "b"), _cases(SHARED))
def test_names_of_relatives_and_namesakes_share_a_part(a: str, b: str) -> None:
    assert relation(a, b) is Relation.SHARED_PART


@pytest.mark.parametrize(("a", "b"), _cases(UNRELATED))
def test_two_people_s_names_are_unrelated(a: str, b: str) -> None:
    assert relation(a, b) is Relation.UNRELATED


def test_a_nickname_links_only_to_its_own_names() -> None:
    assert relation("Pat Lee", "Patrick Lee") is Relation.VARIANT
    assert relation("Pat Lee", "Patricia Lee") is Relation.VARIANT
    assert relation("Patrick Lee", "Patricia Lee") is Relation.SHARED_PART
    assert relation("Paul Fuchs", "Paula Fuchs") is Relation.SHARED_PART


@pytest.mark.parametrize("name", ["", " ", "_", "\u200b", "\u202e\ufe0f"])
def test_nothing_can_be_told_of_an_empty_name(name: str) -> None:
    assert relation(name, "Ann Lee") is Relation.UNKNOWN
    assert relation(name, name) is Relation.UNKNOWN


def test_a_script_without_rules_is_unknown_unless_the_words_agree() -> None:
    assert relation("ሰላም በቀለ", "Selam Bekele") is Relation.UNKNOWN
    assert relation("ሰላም በቀለ", "በቀለ ሰላም") is Relation.VARIANT


def test_characters_with_a_reading_that_nobody_listed_are_unknown() -> None:
    assert relation("鑢彁", "Xu Ma") is Relation.UNKNOWN


LETTERS = "".join(map(chr, [*range(0x41, 0x5B), *range(0x61, 0x7B), *range(0xC0, 0xD7), 0x142]))
NAMES = st.lists(st.text(LETTERS, min_size=1, max_size=12), min_size=1, max_size=4).map(" ".join)
WORDS = st.sampled_from(
    [name for pairs in (*VARIANTS.values(), *SHARED.values()) for pair in pairs for name in pair]
)


@given(NAMES, NAMES)
def test_latin_names_are_never_unknown(a: str, b: str) -> None:
    assert relation(a, b) is not Relation.UNKNOWN


@given(st.text() | WORDS | NAMES, st.text() | WORDS | NAMES)
def test_the_order_of_the_two_names_does_not_matter(a: str, b: str) -> None:
    assert relation(a, b) is relation(b, a)


@given(st.text(st.characters(), max_size=400), WORDS)
def test_any_text_has_an_answer(a: str, b: str) -> None:
    assert isinstance(relation(a, b), Relation)


def test_names_too_long_to_be_read_whole_are_no_variants() -> None:
    assert relation("Ann Lee " * 100, "Ann Lee " * 100 + "Smith") is Relation.SHARED_PART


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Wang_Yingfan", "Yingfan_Wang", Relation.VARIANT),
        ("Noer_Moeis", "Noer_Muis", Relation.VARIANT),
        ("John_Barnett", "John_Burnett", Relation.VARIANT),
        ("Joseph_Blatter", "Sepp_Blatter", Relation.VARIANT),
        # A nickname and a title from which no rule reads the other name.
        ("Doc_Rivers", "Glenn_Rivers", Relation.SHARED_PART),
        ("Felipe_De_Borbon", "Prince_Felipe", Relation.SHARED_PART),
        # Not two names of one person: one photograph was filed under two names.
        ("Bart_Hendricks", "Ricky_Ray", Relation.UNRELATED),
    ],
)
def test_names_of_one_person_in_labeled_faces_in_the_wild(
    one: str, other: str, expected: Relation
) -> None:
    assert relation(one, other) is relation(other, one) is expected
