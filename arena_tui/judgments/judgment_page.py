"""The pages of one judgment: question, answers, games; side by side if wide enough. And a cache of pages laid out."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from arena_tui.judgments.page import Band, Heading, Page, column_width, text_columns
from arena_tui.judgments.passages import Passage, RawText, Stack, Words
from arena_tui.keys import KEYS
from arena_tui.safe_text import one_line, readable
from arena_tui.theme import Inks
from engine.bench.stored import WholeAnswer, WholeGame
from engine.errors import ArenaError
from engine.labels import Label, strength
from engine.review.labels import Outcome
from engine.review.library import AnswerOrigin, OpenedPair

WINNERS: dict[Outcome, str] = {"win": "model", "tie": "neither", "loss": "baseline"}
NARROW = 96  # columns; below that answers stand one under the other
NARROWEST, WIDE = 76, 114  # columns for two and three answers to compare

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_ORIGINS: dict[AnswerOrigin, str] = {
    "current": "",
    "prompt": "answers as the judge saw them; those in the files have changed or are missing",
    "changed": "an answer has changed since it was judged: the judge saw another text than is shown",
    "unknown": "unknown whether the judge saw these answers",
}


class Layout(msgspec.Struct, frozen=True):
    """The layout of a page. `rendered` are the colours for rendered Markdown; None shows texts as written.

    `thinking` shows the reasoning, which the user can switch.
    """

    width: int
    thinking: bool = False
    rendered: Inks | None = None
    side_by_side_from: int = NARROW

    @property
    def room(self) -> int:
        """Columns of a passage that is not side by side."""
        return text_columns(self.width)

    def text(self, text: str, width: int) -> Passage:
        """Return a text of a model as a passage."""
        if self.rendered is None:
            return RawText(text, width)
        # imported here because rich's Markdown loads slowly and is seldom used
        from arena_tui.judgments.markdown import renderer

        return renderer(self.rendered)(text, width)


def judgment_page(opened: OpenedPair, layout: Layout) -> Page:
    """Return the page of one judgment; the baseline, which is A in game 1, comes first."""
    bands = [*_notice(opened, layout), *_question(opened, layout)]
    names = [one_line(opened.baseline) or "the baseline", one_line(opened.model)]
    answers = [opened.baseline_answer, opened.answer]
    places = ["game 1 A, 2 B", "game 1 B, 2 A"]
    titles = [f"{name}{_size(answer)} · {place}" for name, answer, place in zip(names, answers, places, strict=True)]
    answered = _answers(titles, answers, layout)
    return Page([*bands, *answered, *_games(opened, layout)], layout.width, _compared(answered))


def blind_page(opened: OpenedPair, game: int, layout: Layout) -> Page:
    """Return question and answers in the order of a game, without names, numbers or the judgment."""
    answers = [opened.side("A", game)[1], opened.side("B", game)[1]]
    bare = [answer and msgspec.structs.replace(answer, reasoning=None, finish_reason=None) for answer in answers]
    answered = _answers(["Answer A", "Answer B"], bare, layout)
    return Page([*_notice(opened, layout), *_question(opened, layout), *answered], layout.width, _compared(answered))


def revealed_page(opened: OpenedPair, game: int, layout: Layout) -> Page:
    """Return the same answers in the same order, with names, and the judgment below."""
    sides = [opened.side("A", game), opened.side("B", game)]
    titles = [
        f"Answer {letter}: {one_line(name)}{_size(answer)}" for letter, (name, answer) in zip("AB", sides, strict=True)
    ]
    answered = _answers(titles, [side[1] for side in sides], layout)
    bands = [*_notice(opened, layout), *_question(opened, layout), *answered, *_games(opened, layout)]
    return Page(bands, layout.width, _compared(answered))


def prompt_page(opened: OpenedPair, layout: Layout) -> Page:
    """Return the messages sent to the judge: the system prompt if known, and those of each game."""
    width = layout.room
    games = opened.judgment.games if opened.judgment else ()
    bands: list[Band] = [Heading(("System prompt of the judge",))]
    if opened.system is None:
        bands.append(Words("unknown: neither in the record nor in its settings", width))
    else:
        bands.append(RawText(opened.system, width) if opened.system else Words("none", width))
    for number, game in enumerate(games, start=1):
        for message in game.messages if game else ():
            if message.role != "system":
                bands += [Heading((f"Game {number}: {one_line(message.role)}",)), RawText(message.content, width)]
    if not any(game and game.messages for game in games):
        bands.append(Words("the record does not contain the messages of the judge", width))
    return Page(bands, layout.width)


def problem_page(problem: ArenaError, width: int) -> Page:
    """Return a page with an error in place of a text that cannot be read."""
    return Page([Words(readable(str(problem)), text_columns(width))], width)


def label_words(label: Label | None, game: int) -> str:
    """Describe a label by model and baseline: "A>B, baseline a little better"."""
    if label is None:
        return "unparsed"
    value = strength(label, game)
    if value == 0:
        return f"{label}, equally good"
    return f"{label}, {'model' if value > 0 else 'baseline'} {'much' if abs(value) == 2 else 'a little'} better"


def _notice(opened: OpenedPair, layout: Layout) -> list[Band]:
    """Return a notice on the origin of the answers, if the reader should know."""
    notice = _ORIGINS[opened.origin] if opened.judgment is not None else ""
    return [Words(notice, layout.room)] if notice else []


def _question(opened: OpenedPair, layout: Layout) -> list[Band]:
    question = opened.question
    if question is None:
        return [Heading(("Question",)), Words("not in the question set", layout.room)]
    bands: list[Band] = []
    for number, turn in enumerate(question.shown, start=1):
        title = "Question" if len(question.turns) == 1 else f"Question, turn {number} of {len(question.turns)}"
        bands += [Heading((title,)), layout.text(turn, layout.room)]
    return bands


def _answers(titles: list[str], answers: list[WholeAnswer | None], layout: Layout) -> list[Band]:
    width = layout.room
    if _is_side_by_side(layout, *answers):
        left, right = (_answer(answer, column_width(width), layout) for answer in answers)
        return [Heading(tuple(titles)), (left, right)]
    bands: list[Band] = []
    for title, answer in zip(titles, answers, strict=True):
        bands += [Heading((title,)), _answer(answer, width, layout)]
    return bands


def _compared(answered: Sequence[Band]) -> tuple[Passage, Passage]:
    """Return the passages of the two answers, side by side or one under the other."""
    first, second = (each for band in answered if not isinstance(band, Heading) for each in _passages(band))
    return first, second


def _passages(band: Passage | tuple[Passage, ...]) -> tuple[Passage, ...]:
    return band if isinstance(band, tuple) else (band,)


def contrast_page(a: OpenedPair, b: OpenedPair | None, layout: Layout) -> Page:
    """Return a question with the answers of two models and the baseline, and what the judge wrote on each.

    All three side by side if they fit, else the two models. `b` is None if the other model is the baseline.
    """
    answers = [a.answer, b.answer if b is not None else a.baseline_answer]
    titles = [f"A: {one_line(a.model)}{_size(a.answer)}"]
    if b is not None:
        titles.append(f"B: {one_line(b.model)}{_size(b.answer)}")
        answers.append(a.baseline_answer)
    titles.append(f"baseline: {one_line(a.baseline)}{_size(a.baseline_answer)}")
    width, beside = layout.room, 1
    if not _holds_right_to_left_answers(answers):
        beside = 3 if layout.width >= WIDE else 2 if layout.width >= NARROWEST else 1
    beside = min(beside, len(answers))
    passages = [
        _answer(answer, column_width(width, beside) if number < beside else width, layout)
        for number, answer in enumerate(answers)
    ]
    bands: list[Band] = [*_question(a, layout), Heading(tuple(titles[:beside]))]
    bands.append(tuple(passages[:beside]) if beside > 1 else passages[0])
    for title, passage in zip(titles[beside:], passages[beside:], strict=True):
        bands += [Heading((title,)), passage]
    for letter, opened in (("A", a), ("B", b)):
        if opened is not None:
            bands += _games(opened, layout, f"Judge on {letter}")
    return Page(bands, layout.width, (passages[0], passages[1]))


def _answer(answer: WholeAnswer | None, width: int, layout: Layout) -> Passage:
    if answer is None:
        return Words("no answer on disk", width)
    passages: list[Passage] = []
    for number, turn in enumerate(answer.turns, start=1):
        if len(answer.turns) > 1:
            passages.append(Words(f"Turn {number}", width))
        passages.append(layout.text(turn, width))
    if answer.finish_reason == "length":
        passages.append(Words("truncated: token limit reached", width))
    return Stack([*_reasoning(answer.reasoning, width, layout), *passages])


def _games(opened: OpenedPair, layout: Layout, judge: str = "Judge") -> list[Band]:
    games = opened.judgment.games if opened.judgment else ()
    width = layout.room
    titles = [f"{judge}, {_game_title(number, game)}" for number, game in enumerate(games, start=1)]
    if len(games) == 2 and layout.width >= NARROW and not _holds_right_to_left(*games):
        left, right = (_game(game, column_width(width), layout) for game in games)
        return [Heading(tuple(titles)), (left, right)]
    bands: list[Band] = []
    for title, game in zip(titles, games, strict=True):
        bands += [Heading((title,)), _game(game, width, layout)]
    return bands


def _game_title(number: int, game: WholeGame | None) -> str:
    return f"game {number}: {label_words(game.label, 2 - number % 2) if game else 'not played'}"


def _game(game: WholeGame | None, width: int, layout: Layout) -> Passage:
    if game is None:
        return Words("not played", width)
    passages = _reasoning(game.reasoning, width, layout)
    passages.append(
        layout.text(game.judgment, width) if game.judgment.strip() else Words("the judge returned no text", width)
    )
    if game.probabilities is not None:
        shares = "   ".join(f"{label} {share:.0%}" for label, share in game.probabilities.items())
        passages.append(Words(f"probabilities: {shares}", width))
    if game.asks is not None and game.asks > 1:
        passages.append(Words(f"the judge was asked {game.asks} times", width))
    if game.score is not None and game.label is None:
        passages.append(Words(f"the file has {one_line(game.score[:40])!r} here, which is not a label", width))
    return Stack(passages)


def _reasoning(text: str | None, width: int, layout: Layout) -> list[Passage]:
    """Return the reasoning: one line, or all of it."""
    if not text:
        return []
    if not layout.thinking:
        return [Words(f"▸ {len(text):,} characters of reasoning ({KEYS['reasoning'].keys} shows them)", width)]
    return [
        Words(f"▾ reasoning ({KEYS['reasoning'].keys} hides it)", width),
        RawText(text, width),
        Words("▴ end of the reasoning", width),
    ]


def _size(answer: WholeAnswer | None) -> str:
    if answer is None:
        return ""
    return f" · {answer.token_len:,} tokens" if answer.token_len is not None else f" · {_length(answer):,} characters"


def _length(answer: WholeAnswer) -> int:
    return sum(map(len, answer.turns))


def _is_side_by_side(layout: Layout, *answers: WholeAnswer | None) -> bool:
    """Whether answers fit side by side. Not with right-to-left letters, which terminals reorder across the whole line,
    so that words of one answer would appear in the other."""
    return layout.width >= layout.side_by_side_from and not _holds_right_to_left_answers(answers)


def _holds_right_to_left_answers(answers: Iterable[WholeAnswer | None]) -> bool:
    return any(_RIGHT_TO_LEFT.search(turn) for answer in answers if answer for turn in answer.turns)


def _holds_right_to_left(*games: WholeGame | None) -> bool:
    return any(game is not None and _RIGHT_TO_LEFT.search(game.judgment) is not None for game in games)


KeyT = TypeVar("KeyT", bound=Hashable)
KEPT = 12


NO_REASONING = "no reasoning: the files hold none of this pair"


class PairPage(msgspec.Struct, frozen=True):
    """A pair that was opened, and its page."""

    opened: OpenedPair
    page: Page


class PageCache(Generic[KeyT]):
    """A cache of opened pairs and their pages, made in a thread by functions that touch no widget."""

    def __init__(
        self, open_one: Callable[[KeyT], OpenedPair], lay_out: Callable[[KeyT, OpenedPair, Layout], Page]
    ) -> None:
        self._open_one = open_one
        self._lay_out = lay_out
        self._kept: OrderedDict[tuple[KeyT, Layout], PairPage] = OrderedDict()

    def ready(self, key: KeyT, layout: Layout) -> PairPage | None:
        """Return the page if it is cached."""
        page = self._kept.get((key, layout))
        if page is not None:
            self._kept.move_to_end((key, layout))
        return page

    async def load(self, key: KeyT, layout: Layout) -> PairPage:
        """Return the page, made if it is not cached. Raises BenchError if it cannot be read."""
        page = self.ready(key, layout)
        if page is None:
            page = await asyncio.to_thread(self._make, key, layout)
            self._kept[key, layout] = page
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return page

    def _make(self, key: KeyT, layout: Layout) -> PairPage:
        opened = self._open_one(key)
        return PairPage(opened, self._lay_out(key, opened, layout))
