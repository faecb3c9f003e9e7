"""The judgments of a bench for reading: all of them as entries of a list, and each of them whole with its texts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from engine.bench import Bench
from engine.bench.current import is_current
from engine.bench.decoding import ANSWER_END, ANSWER_START
from engine.bench.digest import inputs_digest
from engine.bench.judgment_rows import JudgmentRow, JudgmentRows
from engine.bench.stored import StoredJudgment, WholeAnswer, WholeGame, WholeJudgment, read_judgment
from engine.config.sampling import settings_digest
from engine.errors import ArenaError
from engine.judging.prompts import fenced_prompt, judge_prompt
from engine.judging.verdicts import opening_prompt, wording_of
from engine.language_check import LanguageCheck
from engine.pairing import Pairing
from engine.records import Question, VerdictMode
from engine.review.labels import HumanLabel, Outcome, Pair
from engine.review.listing import Listed, Marks, listed
from engine.review.search import SearchTexts, file_stamp
from engine.review.store import ReviewStore, load_all_labels

_REFRESH_SECONDS = 0.2

AnswerOrigin: TypeAlias = Literal["current", "prompt", "changed", "unknown"]
"""Where the answers of an opened pair come from.

current    the files of the answers; the judge saw the same texts
prompt     the judge's prompt: the files have none, or other ones by now
changed    the files of the answers; the judge saw other texts, which the judgment does not contain
unknown    the files of the answers; what the judge saw is unknown, or there is no judgment
"""


class OpenedPair(msgspec.Struct, frozen=True):
    """A model's answer beside the baseline's, with the judgment of them if there is one.

    `system` is the judge's system prompt: "" if it had none, None if unknown.
    """

    question: Question | None
    model: str
    baseline: str
    answer: WholeAnswer | None
    baseline_answer: WholeAnswer | None
    judgment: WholeJudgment | None = None
    origin: AnswerOrigin = "unknown"
    system: str | None = None

    @property
    def has_reasoning(self) -> bool:
        """Whether an answer or a game has reasoning."""
        games = self.judgment.games if self.judgment is not None else ()
        return any(part is not None and part.reasoning for part in (self.answer, self.baseline_answer, *games))

    def side(self, letter: Literal["A", "B"], game: int) -> tuple[str, WholeAnswer | None]:
        """Return the model in a place of game 1 or 2, and its answer."""
        if (letter == "A") == (game == 1):
            return self.baseline, self.baseline_answer
        return self.model, self.answer


class Library:
    """Reads one bench. `entries` and `marks` are replaced, never changed, so they may be used while files are read.

    `pairing` says which baseline a judgment has that names none. Call methods that read files in a thread; they wait
    for each other.
    """

    def __init__(self, bench: Bench, baseline: str | Pairing | None = None) -> None:
        self.bench = bench
        self.pairing = Pairing((baseline,)) if isinstance(baseline, str) else baseline
        self.entries: Sequence[Listed] = ()
        self.marks = Marks()
        self.texts = SearchTexts(bench)
        self.questions: dict[str, tuple[int, Question]] = {}
        self._judgments = JudgmentRows(bench.paths, bench.index)
        self._listed: dict[Path, tuple[Sequence[JudgmentRow], list[Listed]]] = {}
        self._questions_stamp: tuple[int, int] | None = None
        self._settings: dict[str, Any] = {}
        self._reviews: dict[str, ReviewStore] = {}
        self._lock = threading.Lock()

    def refresh(self, on_change: Callable[[], None] | None = None) -> bool:
        """Read what is new in the files; return whether anything is.

        Meanwhile `on_change` is called whenever there are more entries. Raises BenchError if a file cannot be read.
        """
        shown_at = time.monotonic()

        def show() -> None:
            nonlocal shown_at
            if on_change is not None and time.monotonic() - shown_at > _REFRESH_SECONDS:
                self.entries = self._list_judgments()
                on_change()
                shown_at = time.monotonic()

        with self._lock:
            has_new_questions = self._refresh_questions()
            changed = self._judgments.refresh(show) or has_new_questions
            if changed:
                self.entries = self._list_judgments()
                self._settings = dict(self.bench.settings())
            return self._refresh_human() or changed

    def open(self, entry: Listed) -> OpenedPair:
        """Read everything about one judgment. Raises BenchError if the record no longer exists."""
        with self._lock:
            judgment = read_judgment(entry.row.file, entry.row.place, entry.row.question_id)
            pair = self._read_answers(entry.pair, entry.baseline)
            return _with_judgment(pair, judgment, self._settings.get(judgment.settings or ""))

    def open_answers(self, pair: Pair) -> OpenedPair:
        """Read the answers of a pair without a judgment. Raises BenchError."""
        with self._lock:
            question = self._question(pair[0])
            return self._read_answers(pair, self.baseline_of(question.category if question else "") or "")

    def baseline_of(self, category: str) -> str | None:
        """Return the baseline of questions of a category, the first of several; None if unknown."""
        return self.pairing.of(category)[0] if self.pairing else None

    def reviews(self, reviewer: str) -> ReviewStore:
        """Return the labels of one reviewer, the same for all who ask. Reads a file at first; raises BenchError."""
        with self._lock:
            if reviewer not in self._reviews:
                self._reviews[reviewer] = ReviewStore(self.bench.paths, reviewer)
            return self._reviews[reviewer]

    def answered(self, model: str) -> set[str]:
        """Read which questions `model` answered. Raises BenchError."""
        with self._lock:
            return set(self.bench.index.answers(model).spans)

    def find_other_languages(self, on_progress: Callable[[int, int], bool]) -> None:
        """Check the language of every listed answer (2 ms for a new text) and mark those unlike their question's.

        `on_progress(done, of)` is called now and then; if it returns False the check ends. Reads files.
        """
        check = LanguageCheck(self.bench.index.paths.languages)
        pairs = sorted({entry.pair for entry in self.entries})
        found: set[Pair] = set()
        for done, (question_id, model) in enumerate(pairs):
            if done % 50 == 0:
                self.marks = Marks(self.marks.human, frozenset(found))
                if not on_progress(done, len(pairs)):
                    check.save()
                    return
            question = self._question(question_id)
            if question is None or check.of_question(question) is None:
                continue
            with self._lock:
                answer = self.bench.answer(model, question_id)
            checked = check.check(question, answer.turns) if answer else None
            if checked is not None and checked.is_other:
                found.add((question_id, model))
        check.save()
        self.marks = Marks(self.marks.human, frozenset(found))
        on_progress(len(pairs), len(pairs))

    def add_human(self, label: HumanLabel) -> None:
        """Mark a label that was just given, without reading the files again."""
        given = label.outcome
        if given is not None:
            human = {**self.marks.human, label.pair: self.marks.human.get(label.pair, frozenset()) | {given}}
            self.marks = Marks(human, self.marks.other_language)

    def _list_judgments(self) -> list[Listed]:
        """List all judgments; those of files that have not changed were listed before."""
        for path, rows in self._judgments.files.items():
            if path not in self._listed or self._listed[path][0] is not rows:
                self._listed[path] = rows, listed(rows, self.questions, self.baseline_of)
        return [entry for path in self._judgments.files for entry in self._listed[path][1]]

    def _question(self, question_id: str) -> Question | None:
        known = self.questions.get(question_id)
        return known[1] if known else None

    def _read_answers(self, pair: Pair, baseline: str) -> OpenedPair:
        question_id, model = pair
        return OpenedPair(
            self._question(question_id),
            model,
            baseline,
            self.bench.answer(model, question_id),
            self.bench.answer(baseline, question_id) if baseline else None,
        )

    def _refresh_human(self) -> bool:
        human: dict[Pair, set[Outcome]] = {}
        for labels in load_all_labels(self.bench.paths).values():
            for pair, label in labels.items():
                if label.outcome is not None:
                    human.setdefault(pair, set()).add(label.outcome)
        frozen = {pair: frozenset(given) for pair, given in human.items()}
        if frozen == self.marks.human:
            return False
        self.marks = Marks(frozen, self.marks.other_language)
        return True

    def _refresh_questions(self) -> bool:
        stamp = file_stamp(self.bench.paths.questions)
        if stamp == self._questions_stamp:
            return False
        loaded = self.bench.questions().items
        self.questions = {question.id: (number, question) for number, question in enumerate(loaded, start=1)}
        self.texts.set_questions(loaded)
        self._questions_stamp = stamp
        self._listed = {}
        return True


def _with_judgment(pair: OpenedPair, judgment: WholeJudgment, settings: dict[str, Any] | None) -> OpenedPair:
    """Add the judgment. Answers that are not what the judge saw are replaced by those of its prompt, if it has them."""
    pair = msgspec.structs.replace(pair, judgment=judgment, system=_system_prompt(judgment, settings))
    is_of_these = _is_of_these_texts(judgment, pair.baseline, pair.question, pair.answer, pair.baseline_answer)
    if is_of_these:
        return msgspec.structs.replace(pair, origin="current")
    shown = _answers_in_prompt(judgment.games)
    if shown is not None:
        return msgspec.structs.replace(pair, baseline_answer=shown[0], answer=shown[1], origin="prompt")
    return msgspec.structs.replace(pair, origin="unknown" if is_of_these is None else "changed")


def _is_of_these_texts(
    judgment: WholeJudgment,
    baseline: str,
    question: Question | None,
    answer: WholeAnswer | None,
    baseline_answer: WholeAnswer | None,
) -> bool | None:
    """Whether the judgment is of these texts; None if unknown."""
    prompts = tuple(None if game is None else _user_text(game) or None for game in judgment.games)
    if question is None or answer is None or baseline_answer is None:
        return None
    texts = question.shown, baseline_answer.turns, answer.turns
    stored = StoredJudgment(
        judgment.question_id,
        None,
        None,
        labels=tuple(game.label if game is not None else None for game in judgment.games),
        played=tuple(game is not None for game in judgment.games),
        inputs=judgment.inputs,
        prompts=prompts,
    )
    return is_current(
        stored,
        baseline=baseline,
        inputs=inputs_digest(*texts),
        question_turns=texts[0],
        baseline_turns=texts[1],
        model_turns=texts[2],
    )


def _answers_in_prompt(games: Sequence[WholeGame | None]) -> tuple[WholeAnswer, WholeAnswer] | None:
    """Return the baseline's and the model's answer in the prompt of a game, as every fork's template frames them."""
    for at, game in enumerate(games):
        prompt = "" if game is None else _user_text(game)
        start_a, start_b = ANSWER_START.format("A"), ANSWER_START.format("B")
        begins, middle = prompt.find(start_a), prompt.rfind(start_b)
        end_a = prompt.rfind(ANSWER_END.format("A"), begins, middle)
        end_b = prompt.rfind(ANSWER_END.format("B"), middle)
        if -1 in (begins, middle, end_a, end_b):
            continue
        first = WholeAnswer((prompt[begins + len(start_a) : end_a].strip("\n"),))
        second = WholeAnswer((prompt[middle + len(start_b) : end_b].strip("\n"),))
        return (first, second) if at % 2 == 0 else (second, first)
    return None


def _user_text(game: WholeGame) -> str:
    return "\n".join(message.content for message in game.messages)


def _system_prompt(judgment: WholeJudgment, settings: dict[str, Any] | None) -> str | None:
    """From the messages if they are complete, else from the settings of the judgment."""
    for game in judgment.games:
        sent = [message.content for message in game.messages if message.role == "system"] if game else []
        if sent:
            return "\n\n".join(sent)
    if settings is None:
        return None
    if isinstance(settings.get("system"), str):
        return str(settings["system"])
    try:
        prompt = opening_prompt(judge_prompt(str(settings.get("prompt"))), _verdict_mode(settings))
        prompt = fenced_prompt(prompt) if settings.get("fence") == "nonce" else prompt
    except ArenaError:
        return None
    wording = settings_digest(wording_of(prompt, _verdict_mode(settings)))
    return prompt.system if settings.get("prompt_digest") == wording else None


def _verdict_mode(settings: dict[str, Any]) -> VerdictMode:
    """How verdicts were asked for, by the settings of a judgment."""
    kind = settings.get("verdict")
    return VerdictMode(
        kind if kind in ("constrained", "soft") else "text",
        thinks_first=settings.get("thinking") == "first",
        constrains_reasks=settings.get("reask") == "constrained",
    )
