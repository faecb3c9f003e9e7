"""Everything about one judgment at once: the question, both answers, and both games as they were played.

The judgments of a bench for reading: what there is, and one of them whole. The one door to the files behind both.

All methods that read files say so; call them in a thread, one at a time (the library holds a lock for that).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from engine.bench import Bench
from engine.bench.answer_places import AnswerPlaces
from engine.bench.current import ANSWER_END, ANSWER_START, is_current
from engine.bench.digest import inputs_digest
from engine.bench.games import JudgmentIndex
from engine.bench.stored import StoredJudgment, WholeAnswer, WholeGame, WholeJudgment, read_judgment
from engine.config.sampling import settings_digest
from engine.errors import ArenaError
from engine.judging.prompts import judge_prompt
from engine.judging.verdicts import opening_prompt, wording_of
from engine.language_check import LanguageCheck
from engine.records import Question, VerdictMode
from engine.review.labels import HumanLabel, Outcome, Pair, outcomes
from engine.review.listing import Listed, Marks, listed
from engine.review.search import SearchTexts
from engine.review.store import load_all_labels

Origin: TypeAlias = Literal["current", "prompt", "changed", "unknown"]
"""Where the answers come from.

current    the files of the answers, and they are what the judge saw
prompt     what the judge was shown: the files hold none, or other ones by now
changed    the files of the answers, though the judge saw other texts, which the judgment does not tell
unknown    the files of the answers, and nothing tells what the judge saw (or there is no judgment)
"""


class OpenedPair(msgspec.Struct, frozen=True):
    """A model's answer beside the baseline's. `judgment` is None where nobody has judged them yet.

    `system` is the judge's system prompt: "" if it had none, None if nothing tells.
    """

    question: Question | None
    model: str
    baseline: str
    answer: WholeAnswer | None
    baseline_answer: WholeAnswer | None
    judgment: WholeJudgment | None = None
    origin: Origin = "unknown"
    system: str | None = None

    def side(self, letter: Literal["A", "B"], game: int) -> tuple[str, WholeAnswer | None]:
        """The model in a place of game 1 or 2, and its answer."""
        if (letter == "A") == (game == 1):
            return self.baseline, self.baseline_answer
        return self.model, self.answer


def compare(
    question: Question | None,
    model: str,
    baseline: str,
    judgment: WholeJudgment | None,
    answer: WholeAnswer | None,
    baseline_answer: WholeAnswer | None,
    settings: dict[str, Any] | None = None,
) -> OpenedPair:
    """Put together what the files tell. Answers that are not what the judge saw give way to what its prompt shows."""
    if judgment is None:
        return OpenedPair(question, model, baseline, answer, baseline_answer)
    system = _system(judgment, settings)
    fits = _fits(judgment, baseline, question, answer, baseline_answer)
    if fits:
        return OpenedPair(question, model, baseline, answer, baseline_answer, judgment, "current", system)
    shown = _shown(judgment.games)
    if shown is not None:
        return OpenedPair(question, model, baseline, shown[1], shown[0], judgment, "prompt", system)
    origin: Origin = "unknown" if fits is None else "changed"
    return OpenedPair(question, model, baseline, answer, baseline_answer, judgment, origin, system)


def _fits(
    judgment: WholeJudgment,
    baseline: str,
    question: Question | None,
    answer: WholeAnswer | None,
    baseline_answer: WholeAnswer | None,
) -> bool | None:
    """Whether the judgment is of these texts; None if nothing tells."""
    prompts = tuple(None if game is None else _user_text(game) or None for game in judgment.games)
    if question is None or answer is None or baseline_answer is None or not (judgment.inputs or any(prompts)):
        return None
    texts = question.turns, baseline_answer.turns, answer.turns
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


def _shown(games: Sequence[WholeGame | None]) -> tuple[WholeAnswer, WholeAnswer] | None:
    """The answers of the baseline and of the model in the prompt of a game, where all forks' template frames them."""
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


def _system(judgment: WholeJudgment, settings: dict[str, Any] | None) -> str | None:
    """From the messages if they are whole, else from what the judgment's settings say of the prompt."""
    for game in judgment.games:
        told = [message.content for message in game.messages if message.role == "system"] if game else []
        if told:
            return "\n\n".join(told)
    if settings is None:
        return None
    if isinstance(settings.get("system"), str):
        return str(settings["system"])
    try:
        prompt = opening_prompt(judge_prompt(str(settings.get("prompt"))), _mode(settings))
    except ArenaError:
        return None
    wording = settings_digest(wording_of(prompt, _mode(settings)))
    return prompt.system if settings.get("prompt_digest") == wording else None


def _mode(settings: dict[str, Any]) -> VerdictMode:
    """How verdicts were asked for, by the settings of a judgment."""
    kind = settings.get("verdict")
    return VerdictMode(
        kind if kind in ("constrained", "soft") else "text",
        thinks_first=settings.get("thinking") == "first",
        constrains_reasks=settings.get("reask") == "constrained",
    )


_TELLING_SECONDS = 0.2


class Library:
    """Reads one bench. `entries` and `marks` are replaced, never changed, so they may be used while files are read.

    `baseline` stands in where judgments do not name theirs.
    """

    def __init__(self, bench: Bench, baseline: str | None = None) -> None:
        self.bench = bench
        self.baseline = baseline
        self.entries: Sequence[Listed] = ()
        self.marks = Marks()
        self.texts = SearchTexts(bench)
        self.questions: dict[str, tuple[int, Question]] = {}
        self._index = JudgmentIndex(bench.paths)
        self._answers = AnswerPlaces(bench.paths)
        self._questions_stamp: tuple[int, int] | None = None
        self._settings: dict[str, Any] = {}
        self._lock = threading.Lock()

    def refresh(self, on_change: Callable[[], None] | None = None) -> bool:
        """Read what is new in the files; whether there was anything. While that takes time, `on_change` is called
        whenever there are more entries. Raises BenchError if a file cannot be read."""
        told_at = time.monotonic()

        def tell() -> None:
            nonlocal told_at
            if on_change is not None and time.monotonic() - told_at > _TELLING_SECONDS:
                self.entries = listed(self._index.rows, self.questions, self.baseline)
                on_change()
                told_at = time.monotonic()

        with self._lock:
            asked_anew = self._refresh_questions()
            changed = self._index.refresh(tell) or asked_anew
            if changed:
                self.entries = listed(self._index.rows, self.questions, self.baseline)
                self._settings = dict(self.bench.settings())
            return self._refresh_human() or changed

    def open(self, entry: Listed) -> OpenedPair:
        """Everything about one judgment. Reads files; raises BenchError if the record is not there any more."""
        with self._lock:
            judgment = read_judgment(entry.row.file, entry.row.place)
            known = self.questions.get(entry.row.question_id)
            return compare(
                known[1] if known else None,
                entry.row.model,
                entry.baseline,
                judgment,
                self._answers.read(entry.row.model, entry.row.question_id),
                self._answers.read(entry.baseline, entry.row.question_id) if entry.baseline else None,
                self._settings.get(judgment.settings or ""),
            )

    def open_answers(self, pair: Pair) -> OpenedPair:
        """A pair that nobody has judged: its answers only. Reads files; raises BenchError."""
        question_id, model = pair
        with self._lock:
            known = self.questions.get(question_id)
            return compare(
                known[1] if known else None,
                model,
                self.baseline or "",
                None,
                self._answers.read(model, question_id),
                self._answers.read(self.baseline, question_id) if self.baseline else None,
            )

    def answered(self, model: str) -> set[str]:
        """The questions that have an answer of `model`. Reads files; raises BenchError."""
        with self._lock:
            return self._answers.question_ids(model)

    def find_other_languages(self, on_progress: Callable[[int, int], bool]) -> None:
        """Tell for every listed answer whether it is in its question's language; takes 2 ms each.

        `on_progress(done, of)` is called every now and then, and ends the work by returning False. Reads files.
        """
        check = LanguageCheck()
        pairs = sorted({entry.pair for entry in self.entries})
        found: set[Pair] = set()
        for done, (question_id, model) in enumerate(pairs):
            if done % 50 == 0:
                self.marks = Marks(self.marks.human, frozenset(found))
                if not on_progress(done, len(pairs)):
                    return
            known = self.questions.get(question_id)
            if known is None or check.of_question(known[1]) is None:
                continue
            with self._lock:
                answer = self._answers.read(model, question_id)
            checked = check.check(known[1], answer.turns) if answer else None
            if checked is not None and checked.is_other:
                found.add((question_id, model))
        self.marks = Marks(self.marks.human, frozenset(found))
        on_progress(len(pairs), len(pairs))

    def add_human(self, label: HumanLabel) -> None:
        """Count a label that was just given, without reading the files again."""
        told = label.outcome
        if told is not None:
            human = {**self.marks.human, label.pair: self.marks.human.get(label.pair, frozenset()) | {told}}
            self.marks = Marks(human, self.marks.other_language)

    def _refresh_human(self) -> bool:
        human: dict[Pair, set[Outcome]] = {}
        for said in load_all_labels(self.bench.paths).values():
            for pair, told in outcomes(said).items():
                human.setdefault(pair, set()).add(told)
        frozen = {pair: frozenset(told) for pair, told in human.items()}
        if frozen == self.marks.human:
            return False
        self.marks = Marks(frozen, self.marks.other_language)
        return True

    def _refresh_questions(self) -> bool:
        stamp = _stamp(self.bench.paths.questions)
        if stamp == self._questions_stamp:
            return False
        self._questions_stamp = stamp
        loaded = self.bench.questions().items
        self.questions = {question.id: (number, question) for number, question in enumerate(loaded, start=1)}
        self.texts.set_questions(loaded)
        return True


def _stamp(path: Path) -> tuple[int, int]:
    told = path.stat()
    return told.st_size, told.st_mtime_ns
