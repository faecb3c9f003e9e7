"""The part of a bench that is exported: what its leaderboard rests on, read one record at a time.

Of several records of one question the last counts. Answers to questions that are not in the set, and judgments of other
texts than today's, stay behind and are counted. Ids and places are kept in memory, texts only while they are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from engine.bench import Bench
from engine.bench.index import spans
from engine.bench.lines import LineSpan, read_object
from engine.bench.stored import WholeAnswer, WholeJudgment, whole_answer, whole_judgment
from engine.errors import Advice, AdviceKind, UsageProblem
from engine.records import Question

RawRecord: TypeAlias = dict[str, Any]
FileRecords: TypeAlias = tuple[Path, Iterator[RawRecord]]
"""A file of an export by its relative path, and its records."""


class ExportChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a bench is exported: `judges` None and `models` empty mean all of them."""

    baseline: str
    judges: tuple[str, ...] | None = None
    models: tuple[str, ...] = ()


class Selection:
    """The part of a bench that `choice` names. Reads files. Raises UsageProblem for an unknown name.

    `models` have answers or judgments, the baseline among them. `notes` say what is left out and why, and grow while
    answers and judgments are read.
    """

    def __init__(self, bench: Bench, choice: ExportChoice) -> None:
        self.bench = bench
        self.baseline = choice.baseline
        self.notes: list[str] = []
        questions = bench.questions()
        self.notes += map(str, questions.problems)
        self._all_questions = {question.id: question for question in questions.items}
        self.questions: Mapping[str, Question] = self._all_questions
        judges = bench.judges()
        self.judges = tuple(judges) if choice.judges is None else _chosen(choice.judges, judges, AdviceKind.JUDGES)
        judged = {model for judge in judges for model in bench.judged_models(judge)}
        known = sorted({*bench.models_with_answers(), *judged})
        wanted = {*_chosen(choice.models, known, AdviceKind.MODELS), self.baseline} if choice.models else known
        self.models = tuple(model for model in known if model in wanted)
        self._answered: dict[str, Mapping[str, LineSpan]] = {}
        self._counted: dict[tuple[str, str], dict[str, LineSpan]] = {}

    def answers(self, model: str) -> Iterator[tuple[Question, WholeAnswer, RawRecord]]:
        """Yield the model's answers in the order of the questions, each also as it is in the file."""
        answered = self._answers(model)
        orphans = len(answered.keys() - self._all_questions.keys())
        if orphans:
            self.note(f"{orphans} answers of {model} are to questions that are not in the set")
        path = self.bench.paths.answers(model)
        for question in self.questions.values():
            if question.id in answered:
                line = read_object(path, answered[question.id])
                yield question, whole_answer(line, question.id), _decoder.decode(line)

    def answer(self, model: str, question_id: str) -> WholeAnswer | None:
        """Return one answer."""
        span = self._answers(model).get(question_id)
        if span is None:
            return None
        return whole_answer(read_object(self.bench.paths.answers(model), span), question_id)

    def settings(self) -> Iterator[RawRecord]:
        """Yield what the settings digests in the records stand for, as lines of `settings.jsonl`."""
        return ({"settings": digest, **known} for digest, known in self.bench.settings().items())

    def judged(self) -> Iterator[tuple[str, str]]:
        """Yield every judge with each of `models` that it compared with the baseline."""
        for judge in self.judges:
            for model in self.bench.judged_models(judge):
                if model in self.models and model != self.baseline:
                    yield judge, model

    def judgments(self, judge: str, model: str) -> Iterator[tuple[Question, WholeJudgment, RawRecord]]:
        """Yield the current judgments in the order of the questions, each also as it is in the file."""
        path = self.bench.paths.judgments(judge, model)
        counted = self.counted(judge, model)
        for question in self.questions.values():
            if question.id in counted:
                line = read_object(path, counted[question.id])
                yield question, whole_judgment(line, question.id), _decoder.decode(line)

    def judgment(self, judge: str, model: str, question_id: str) -> WholeJudgment | None:
        """Return one judgment, if it is current."""
        span = self.counted(judge, model).get(question_id)
        if span is None:
            return None
        return whole_judgment(read_object(self.bench.paths.judgments(judge, model), span), question_id)

    def counted(self, judge: str, model: str) -> Mapping[str, LineSpan]:
        """Return where the current judgments are, by question id."""
        if (judge, model) not in self._counted:
            self._counted[judge, model] = self._find_counted(judge, model)
        return self._counted[judge, model]

    def _find_counted(self, judge: str, model: str) -> dict[str, LineSpan]:
        rows = self.bench.current.table(judge, model, self.baseline)
        current = rows.filter("current")
        if len(current) < len(rows):
            self.note(f"{len(rows) - len(current)} judgments of {model} by {judge} are not of today's texts")
        return spans(current)

    def _answers(self, model: str) -> Mapping[str, LineSpan]:
        if model not in self._answered:
            self._answered[model] = spans(self.bench.index.answers(model).frame)
        return self._answered[model]

    def drop_questions_of_several_turns(self, form: str) -> None:
        """Leave out questions of several turns, which `form` cannot hold."""
        single = {key: question for key, question in self.questions.items() if len(question.turns) == 1}
        if len(single) < len(self.questions):
            left_out = len(self.questions) - len(single)
            self.note(f"{left_out} questions left out: {form} has no questions of several turns")
        self.questions = single

    def note(self, text: str) -> None:
        """Add a note unless it was added before."""
        if text not in self.notes:
            self.notes.append(text)


_decoder: msgspec.json.Decoder[RawRecord] = msgspec.json.Decoder(RawRecord)


def _chosen(names: Sequence[str], known: Sequence[str], kind: AdviceKind) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(known) or 'none'}"
            raise UsageProblem(f"{name!r} has no records in the bench", Advice(hint, kind))
    return tuple(dict.fromkeys(names))
