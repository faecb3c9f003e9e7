"""Languages of texts as models write them: with code, links and formulas in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bench.index import read_cache, write_cache
from engine.language_check import LanguageCheck, LanguageDetector, Languages, near
from engine.records import Question

DETECTOR = LanguageDetector()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Как отсортировать список в Python по убыванию?", "ru"),
        ("Please explain how photosynthesis works in simple words.", "en"),
        ("Erkläre mir bitte, wie die Photosynthese funktioniert.", "de"),
        ("Explique-moi comment fonctionne la photosynthèse, s'il te plaît.", "fr"),
        ("请解释一下光合作用的基本原理，并举例说明它在日常生活中的应用情况。", "zh"),
    ],
)
def test_prose_is_told_by_its_language(text: str, language: str) -> None:
    assert DETECTOR.language([text]) == language


def test_code_does_not_make_an_answer_english() -> None:
    code = "```python\nfor item in sorted(items, reverse=True):\n    print(item, file=sys.stderr)\n```\n" * 20
    answer = f"Вот как отсортировать список:\n{code}Функция `sorted(items)` возвращает новый список."
    assert DETECTOR.language([answer]) == "ru"


@pytest.mark.parametrize(
    "text", ["", "42", "Да", "```\nprint('hello, dear world of many words')\n```", "x = y + z;" * 3]
)
def test_too_little_prose_is_left_undecided(text: str) -> None:
    assert DETECTOR.language([text]) is None


def test_all_turns_count() -> None:
    assert DETECTOR.language(["OK.", "Конечно, вот подробное объяснение того, как это работает."]) == "ru"


def test_languages_that_are_easily_confused_are_near() -> None:
    assert near("ru", "uk")
    assert near("en", "en")
    assert not near("ru", "en")
    assert not near("en", "de")


@given(st.text(max_size=300))
def test_any_text_can_be_asked_about(text: str) -> None:
    language = DETECTOR.language([text])
    assert language is None or language.isalpha()


QUESTION = Question("q", ("Please explain how photosynthesis works in simple words.",))
RUSSIAN = ("Растения превращают свет в энергию, а воду и углекислый газ в сахар и кислород.",)


def test_languages_that_were_found_are_kept_and_deleting_them_changes_nothing(tmp_path: Path) -> None:
    cache = tmp_path / ".index" / "languages"
    for _ in range(2):
        check = LanguageCheck(cache)
        assert check.check(QUESTION, RUSSIAN) == LanguageCheck().check(QUESTION, RUSSIAN) == ("ru", True)
        check.save()
    held = read_cache(cache, Languages)
    assert held is not None
    assert sorted(map(str, held[0].found.values())) == ["en", "ru"]
    cache.unlink()
    assert LanguageCheck(cache).check(QUESTION, RUSSIAN) == ("ru", True)


@pytest.mark.parametrize("detector", ["0 1.0", ""])
def test_languages_of_another_version_are_found_anew(tmp_path: Path, detector: str) -> None:
    cache = tmp_path / "languages"
    first = LanguageCheck(cache)
    first.check(QUESTION, RUSSIAN)
    first.save()
    held = read_cache(cache, Languages)
    assert held is not None
    write_cache(cache, Languages(detector, dict.fromkeys(held[0].found, "de")), b"")
    assert LanguageCheck(cache).check(QUESTION, RUSSIAN) == ("ru", True)
