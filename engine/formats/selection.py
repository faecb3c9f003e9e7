"""The part of a bench that is exported: what its leaderboard rests on, read one record at a time.

Of several records of one question the last counts. Answers to questions that are not in the set, and judgments of other
texts than today's, are left out and counted. The index of the bench says once which records count; each is then read by
its byte range, and verified to be the one that was checked. Texts are in memory only while they are used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from engine.bench import Bench
from engine.bench.current import CurrentJudgments
from engine.bench.digest import text_key
from engine.bench.index import BenchIndex
from engine.bench.lines import CHANGED, LineSpan, changed_meanwhile, read_object
from engine.bench.stored import WholeAnswer, WholeJudgment, whole_answer, whole_judgment
from engine.errors import Advice, AdviceKind, BenchError, UsageProblem, listed
from engine.judged import counted
from engine.pairing import Pairing
from engine.records import Question
from engine.token_lengths import comparable_lengths

if TYPE_CHECKING:
    import polars as pl

RawRecord: TypeAlias = dict[str, Any]
FileRecords: TypeAlias = tuple[Path, Iterator[RawRecord]]
"""A file of an export by its relative path, and its records."""


class ExportChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a bench is exported: `judges` None and `models` empty mean all of them.

    Judgments against `others` are exported beside those against `baseline`; None means every other baseline. Where
    `by_category` names another baseline for a category, only judgments against that of each question are exported.
    `strict` leaves out judgments that cannot be checked.
    """

    baseline: str
    by_category: tuple[tuple[str, str], ...] = ()
    judges: tuple[str, ...] | None = None
    models: tuple[str, ...] = ()
    others: tuple[str, ...] | None = None
    strict: bool = False


class Selection:
    """The part of a bench that `choice` names. Reads files. Raises UsageProblem for an unknown name.

    `models` have answers or judgments, the baselines among them. `notes` say what is left out and why, and grow while
    answers and judgments are read.
    """

    def __init__(self, bench: Bench, choice: ExportChoice) -> None:
        self.bench = bench
        self._index = BenchIndex(bench.paths, is_fixed=True)
        self._judgments = CurrentJudgments(self._index)
        self._strict = choice.strict
        self.notes: list[str] = []
        questions = bench.questions()
        self.notes += map(str, questions.problems)
        self._all_questions = {question.id: question for question in questions.items}
        digests = dict(self._index.questions().frame.select("key", "digest").iter_rows())
        if {key: text_key(question.shown) for key, question in self._all_questions.items()} != digests:
            raise BenchError(f"{bench.paths.questions}: changed while it was read", CHANGED)
        self.questions: Mapping[str, Question] = self._all_questions
        categories = {question.category for question in self._all_questions.values()}
        self.pairing = Pairing((choice.baseline,), choice.by_category).on(categories)
        self._own = {key: self.pairing.of(each.category)[0] for key, each in self._all_questions.items()}
        judges = bench.judges()
        self.judges = tuple(judges) if choice.judges is None else _chosen(choice.judges, judges, AdviceKind.JUDGES)
        judged = {model for judge in judges for model in bench.judged_models(judge)}
        known = sorted({*bench.models_with_answers(), *judged})
        chosen = _chosen(choice.models, known, AdviceKind.MODELS) if choice.models else known
        named = self._baselines_of(chosen)
        others = sorted({name for name, _ in named}) if choice.others is None else choice.others
        further = others if not self.pairing.is_split else ()
        self.baselines = tuple(dict.fromkeys((*self.pairing.names, *further)))
        self._note_left_out({each: count for each, count in named.items() if not self._is_exported(*each)})
        self.models = tuple(model for model in known if model in {*chosen, *self.baselines})
        if itself := self._judged_against_itself():
            self.notes.append(f"{itself} judgments of a baseline against itself are not exported: they rate no model")
        self._lengths, self._counter, warning = comparable_lengths(self._index, self.models)
        self.notes += [warning] if warning else []
        self._answers: dict[str, _Spans] = {}
        self._counted: dict[tuple[str, str, str], _Spans] = {}

    def answers(self, model: str) -> Iterator[tuple[Question, WholeAnswer, RawRecord]]:
        """Yield the model's answers in the order of the questions, each also as it is in the file."""
        orphans = len(self._answered(model).keys() - self._all_questions.keys())
        if orphans:
            self.note(f"{orphans} answers of {model} are to questions that are not in the set")
        for question in self.questions.values():
            found = self._read_answer(model, question.id)
            if found is not None:
                yield question, found[0], _decoder.decode(found[1])

    def answer(self, model: str, question_id: str) -> WholeAnswer | None:
        """Return one answer."""
        found = self._read_answer(model, question_id)
        return None if found is None else found[0]

    def settings(self) -> Iterator[RawRecord]:
        """Yield what the settings digests in the records stand for, as lines of `settings.jsonl`."""
        return ({"settings": digest, **known} for digest, known in self.bench.settings().items())

    def judged(self) -> Iterator[tuple[str, str]]:
        """Yield every judge with each of `models` that it compared with a baseline."""
        for judge in self.judges:
            for model in self.bench.judged_models(judge):
                if model in self.models and self.baselines != (model,):
                    yield judge, model

    def judgments(self, judge: str, model: str) -> Iterator[tuple[Question, WholeJudgment, RawRecord]]:
        """Yield the current judgments by baseline and question, each also as it is in the file.

        `WholeJudgment.baseline` is never None.
        """
        for baseline in self.baselines:
            if model == baseline:
                continue
            for question in self.questions.values():
                if not self._is_exported(baseline, question.id):
                    continue
                line = self._read_judgment(judge, model, baseline, question.id)
                if line is not None:
                    judgment = msgspec.structs.replace(whole_judgment(line, question.id), baseline=baseline)
                    yield question, judgment, _decoder.decode(line)

    def judgment(self, judge: str, model: str, question_id: str) -> WholeJudgment | None:
        """Return one judgment against the first baseline, or that of the question, if it is current."""
        line = self._read_judgment(judge, model, self.baseline_of(question_id), question_id)
        return None if line is None else whole_judgment(line, question_id)

    def judged_questions(self) -> set[str]:
        """Return the questions with a current judgment against the first baseline, or their own."""
        return {
            question
            for judge, model in self.judged()
            for baseline in self.pairing.names
            if baseline != model
            for question in self._current(judge, model, baseline)
        }

    def baseline_of(self, question_id: str) -> str:
        """Return the first baseline, or that of the question where it depends on the category."""
        return self._own.get(question_id, self.pairing.baselines[0])

    def _is_exported(self, baseline: str, question_id: str) -> bool:
        """Return whether judgments of a question against a baseline are."""
        if self.pairing.is_split:
            return baseline == self.baseline_of(question_id)
        return baseline in self.baselines

    def _read_answer(self, model: str, question_id: str) -> tuple[WholeAnswer, bytes] | None:
        span, digest = self._answered(model).get(question_id, (None, 0))
        if span is None:
            return None
        path = self.bench.paths.answers(model)
        line = read_object(path, span)
        answer = whole_answer(line, question_id)
        if text_key(answer.turns) != digest:
            raise changed_meanwhile(path, span, "its text has changed")
        if self._counter and answer.token_len is not None:
            length = self._lengths[model][question_id]
            answer = msgspec.structs.replace(answer, token_len=length, token_counter=self._counter)
        return answer, line

    def _read_judgment(self, judge: str, model: str, baseline: str, question_id: str) -> bytes | None:
        span, mark = self._current(judge, model, baseline).get(question_id, (None, 0))
        return None if span is None else read_object(self.bench.paths.judgments(judge, model), span, mark)

    def _answered(self, model: str) -> _Spans:
        if model not in self._answers:
            self._answers[model] = _spans(self._index.answers(model).frame, "digest")
        return self._answers[model]

    def _baselines_of(self, models: Sequence[str]) -> Counter[tuple[str, str]]:
        """Count the judgments of `models` by the baseline that they name and the question."""
        found: Counter[tuple[str, str]] = Counter()
        for judge in self.judges:
            for model in set(self.bench.judged_models(judge)).intersection(models):
                named = self._index.judgments(judge, model).frame.select("baseline", "key").drop_nulls().iter_rows()
                found.update((name, key) for name, key in named if name != model)
        return found

    def _judged_against_itself(self) -> int:
        """Count the judgments of a baseline against itself, which show a judge's preference for a place."""
        count = 0
        for judge in self.judges:
            for model in set(self.bench.judged_models(judge)).intersection(self.pairing.names):
                named = self._index.judgments(judge, model).frame["baseline"]
                only = len(self.pairing.names) == 1  # then one that names no baseline is against it
                count += int((named == model).sum()) + (named.null_count() if only else 0)
        return count

    def _note_left_out(self, named: Mapping[tuple[str, str], int]) -> None:
        if named:
            names = sorted({name for name, _ in named})
            where = ", which is not the baseline of their category," if self.pairing.is_split else ""
            text = f"{sum(named.values())} judgments against {listed(names)}{where} are not exported"
            self.notes.append(Advice(f"{text}; name their baselines too, or none for all", AdviceKind.BASELINE))

    def _current(self, judge: str, model: str, baseline: str) -> _Spans:
        key = judge, model, baseline
        if key not in self._counted:
            import polars as pl

            is_first = baseline == self.pairing.baselines[0]
            rows = self._judgments.table(judge, model, baseline, needs_name=not is_first)
            if self.pairing.is_split:
                rows = rows.filter(pl.col("key").is_in([key for key, name in self._own.items() if name == baseline]))
            current = counted(rows, strict=self._strict)
            is_of_it = pl.col("baseline").is_not_null() | (len(self.baselines) == 1)  # else it may well be of another
            if outdated := len(rows.filter(~pl.col("current") & is_of_it)):
                self.note(f"{outdated} judgments of {model} by {judge} are not of today's texts")
            if unchecked := len(rows.filter("unchecked")):
                how = "not exported" if self._strict else "exported as they are"
                self.note(f"{unchecked} judgments of {model} by {judge} cannot be checked against today's texts; {how}")
            self._counted[key] = _spans(current, "mark")
        return self._counted[key]

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
_Spans: TypeAlias = Mapping[str, tuple[LineSpan, int]]
"""By question, where its record is, and the digest or mark that it is verified by."""


def _spans(frame: pl.DataFrame, check: str) -> _Spans:
    rows = frame.select("key", "start", "length", check).iter_rows()
    return {key: (LineSpan(start, length), value) for key, start, length, value in rows}


def _chosen(names: Sequence[str], known: Sequence[str], kind: AdviceKind) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(known) or 'none'}"
            raise UsageProblem(f"{name!r} has no records in the bench", Advice(hint, kind))
    return tuple(dict.fromkeys(names))
