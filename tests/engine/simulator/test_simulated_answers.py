"""What simulated models say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageProblem
from engine.simulator import SimulatedModel, SimulatorConfig, demo_cast
from engine.simulator.cast import write_answer
from engine.simulator.config import SimulatedJudge
from engine.simulator.draws import Draws
from engine.simulator.text import count_tokens, cut, language_of, pieces
from engine.simulator.wording import PHRASES

RUSSIAN = "Напиши функцию, которая считает повторы в списке, и объясни её сложность."
ENGLISH = "Write a function that counts duplicates in a list, and explain its complexity."


def answer(question: str, key: bytes = b"k", **traits: object) -> str:
    return write_answer(SimulatedModel(name="sim", **traits), question, Draws(key))  # type: ignore[arg-type]


async def test_the_same_request_brings_the_same_answer_from_every_server_of_the_same_seed(serve):
    one, other = await serve(demo_cast()), await serve(demo_cast())
    first = await one.says("sim-strong", RUSSIAN)
    await other.says("sim-strong", ENGLISH)
    assert await other.says("sim-strong", RUSSIAN) == first
    assert await one.says("sim-weak", RUSSIAN) != first


async def test_above_temperature_0_each_seed_and_each_choice_is_another_answer(serve):
    served = await serve(demo_cast())
    texts = [await served.says("sim-baseline", ENGLISH, temperature=0.7, seed=seed) for seed in (1, 2, 1)]
    assert texts[0] == texts[2] != texts[1]
    reply = await served.chat("sim-baseline", ENGLISH, temperature=0.7, seed=1, n=3)
    choices = [choice["message"]["content"] for choice in reply["choices"]]
    assert len(set(choices)) == 3
    assert reply["usage"]["completion_tokens"] == sum(map(count_tokens, choices))


async def test_at_temperature_0_the_seed_of_a_request_means_nothing_and_that_of_the_server_all(serve):
    served = await serve(SimulatorConfig(models=[SimulatedModel(name="m")], seed=1))
    reseeded = await serve(SimulatorConfig(models=[SimulatedModel(name="m")], seed=2))
    text = await served.says("m", ENGLISH, seed=5)
    assert text == await served.says("m", ENGLISH, seed=6)
    assert text != await reseeded.says("m", ENGLISH, seed=5)


async def test_a_second_turn_is_answered_anew(serve):
    served = await serve(demo_cast())
    first = await served.says("sim-strong", ENGLISH)
    second = await served.says("sim-strong", ENGLISH, first, "Now do the same in constant memory.")
    assert second != first
    assert "constant" in second or "memory" in second


def test_an_answer_comes_in_the_language_of_the_question_unless_it_drifts():
    assert language_of(answer(RUSSIAN)) == "ru"
    assert language_of(answer(ENGLISH)) == "en"
    assert language_of(answer(RUSSIAN, language_drift=1.0)) == "en"
    assert language_of(answer(ENGLISH, language_drift=1.0)) == "ru"


def test_skill_decides_what_can_be_checked_and_verbosity_how_much_there_is():
    strong, weak = answer(ENGLISH, skill=1.0).lower(), answer(ENGLISH, skill=0.0).lower()
    assert not any(cue in strong for cue in PHRASES["en"].vague_cues)
    assert not any(cue in weak for cue in PHRASES["en"].solid_cues)
    assert len(answer(ENGLISH, verbosity=1.0)) > 1.3 * len(answer(ENGLISH, verbosity=0.0))


def test_a_skilled_answer_to_a_question_about_code_holds_code():
    assert "```python\n" in answer(RUSSIAN, skill=1.0)
    assert "```" not in answer("Почему осенью желтеют листья?", skill=1.0)


@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_sentence_is_as_solid_or_as_vague_as_it_is_meant_to_be(language):
    def cues(sentence: str, wanted: tuple[str, ...]) -> int:
        return sum(sentence.lower().count(cue) for cue in wanted)

    phrases = PHRASES[language]
    for vague, solid in (phrases.openings, phrases.points, phrases.closings):
        assert all(cues(text, phrases.vague_cues) and not cues(text, phrases.solid_cues) for text in vague)
        assert all(cues(text, phrases.solid_cues) and not cues(text, phrases.vague_cues) for text in solid)
    assert not any(cues(text, phrases.solid_cues + phrases.vague_cues) for text in phrases.padding)


@given(st.text(max_size=300), st.binary(min_size=1, max_size=16))
def test_any_question_gets_an_answer(question, key):
    text = answer(question, key)
    assert "{t}" not in text
    assert text == answer(question, key)


@given(st.text(max_size=400), st.integers(1, 60))
def test_tokens_are_pieces_of_the_text_and_a_cut_holds_its_limit(text, limit):
    assert "".join(pieces(text)) == text
    shorter, count, was_cut = cut(text, limit)
    assert text.startswith(shorter)
    assert count <= limit
    assert was_cut == (count_tokens(text) > limit)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SimulatedModel(name="m", skill=1.5), "m: skill must be between 0 and 1"),
        (lambda: SimulatedModel(name=" "), "has an empty name"),
        (lambda: SimulatedJudge(name="j", position_bias=-2), "j: position_bias must be between -1 and 1"),
        (lambda: SimulatedJudge(name="j", tie_width=0.6), "j: tie_width must be above 0 and below strong_from"),
        (SimulatorConfig, "at least one model or judge"),
        (lambda: SimulatorConfig(models=[SimulatedModel(name="m")] * 2), "are named m"),
        (lambda: SimulatorConfig(models=[SimulatedModel(name="m")], max_running=0), "max_running must be at least 1"),
    ],
)
def test_a_cast_that_cannot_be_is_refused_in_words(make, says):
    with pytest.raises(UsageProblem, match=says):
        make()


def test_a_config_shown_in_a_log_does_not_show_its_key():
    config = SimulatorConfig(models=[SimulatedModel(name="m")], api_key="hunter2")
    assert "hunter2" not in f"{config!r} {config}"
