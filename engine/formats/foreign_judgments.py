"""Files of judgments by other programs, turned into a folder of a bench that an import takes.

What a file holds of questions and answers comes with its judgments; a bench that has them keeps its own. One of two
models is the baseline of a pair: the one that is in every pair, else the first. Where a file holds the texts that were
compared, each judgment has their digest, so that it is checked like this program's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.bench.digest import inputs_digest, text_digest
from engine.bench.layout import BenchPaths
from engine.bench.lines import FileProblem, ProblemLog, encode_json
from engine.bench.shapes import UnknownShape
from engine.bench.stored import load_answers, load_questions
from engine.errors import Advice, AdviceKind, BenchError
from engine.formats.foreign_answers import records_of
from engine.formats.foreign_pairs import ForeignPair, PairFormat, Side, as_game, pair_format, read_pairs
from engine.formats.row_files import FileRow, is_row_file, read_rows


def pair_file(src: Path) -> tuple[PairFormat, list[FileRow], ProblemLog] | None:
    """Return the rows of a file of judgments of pairs, and whose they are; None for any other file."""
    if not is_row_file(src):
        return None
    if src.suffix == ".jsonl" and pair_format(next(records_of(src), {})) is None:
        return None  # of a large file only the first line is read
    log = ProblemLog(src)
    try:
        rows = read_rows(src, log).rows
    except BenchError:
        return None  # who imports it otherwise reports it
    form = pair_format(rows[0].fields) if rows else None
    return None if form is None else (form, rows, log)


def convert_pairs(
    src: Path, form: PairFormat, rows: Sequence[FileRow], log: ProblemLog, bench: BenchPaths, folder: Path
) -> list[FileProblem]:
    """Write what the rows hold into `folder`, laid out as a bench; return what is to be reported.

    Raises BenchError for a file without a usable row, or of which no question is in the bench.
    """
    pairs: list[ForeignPair] = []
    for line, fields in rows:
        try:
            pairs += read_pairs(form, fields)
        except KeyError as error:
            log.add(line, f"no {error.args[0]!r} in it")
        except (UnknownShape, ValueError) as error:
            log.add(line, str(error))
    if not pairs:
        raise BenchError(f"{src}: no usable judgment in it", "\n".join(map(str, log.result()[:3])))
    collected = _Collected(pairs, bench)
    if collected.unknown:
        log.add(None, f"{collected.unknown} judgments are of questions that are not in {bench.questions}")
    if not collected.judgments and not collected.labels:
        raise BenchError(
            f"{src}: none of its questions is in {bench.questions}",
            Advice("import into the bench that they are of, or a new one", AdviceKind.BENCH_NAME),
        )
    for note in collected.write(BenchPaths(folder), bench):
        log.add(None, note)
    return list(log.result())


class _Collected:
    """The pairs of a file, sorted into what a bench holds."""

    def __init__(self, pairs: Sequence[ForeignPair], bench: BenchPaths) -> None:
        self.questions: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, dict[str, tuple[str, ...]]] = {}
        self.judgments: dict[tuple[str, str], dict[tuple[str, str], dict[str, Any]]] = {}
        self.labels: dict[str, list[dict[str, Any]]] = {}
        self.unknown = 0
        held = load_questions(bench.questions).items if bench.questions.exists() else []
        self._shown = {question.id: question.shown for question in held}
        self._by_text = {tuple(text.strip() for text in question.shown): question.id for question in held}
        self._baseline = _common(pairs)
        self._last_turn = max(pair.turn for pair in pairs)
        for pair in pairs:
            self._add(pair)

    def write(self, paths: BenchPaths, bench: BenchPaths) -> Iterator[str]:
        """Write the files; yield what was not written, and why."""
        if self.questions:
            _write(paths.questions, self.questions.values())
        for model, answers in self.answers.items():
            if bench.answers(model).exists():
                held = load_answers(bench.answers(model)).items
                others = sum(key not in held or held[key].turns != said for key, said in answers.items())
                if others:
                    yield f"{others} answers of {model} differ from those of the bench, which are kept"
                continue
            _write(paths.answers(model), (_answer(model, key, said) for key, said in answers.items()))
        for (judge, model), records in self.judgments.items():
            _write(paths.judgments(judge, model), records.values())
        for reviewer, labels in self.labels.items():
            _write(paths.review(reviewer), labels)

    def _add(self, pair: ForeignPair) -> None:
        key = self._question(pair)
        if key is None:
            self.unknown += 1
            return
        is_swapped = pair.sides[1].model == self._baseline
        baseline, other = reversed(pair.sides) if is_swapped else pair.sides
        for side in (baseline, other):
            if side.said:
                self.answers.setdefault(side.model, {}).setdefault(key, side.said)
        if pair.judge is None:
            self._add_label(pair, key, baseline, other, is_swapped)
            return
        judge = pair.judge if pair.turn == self._last_turn else f"{pair.judge}-turn-{pair.turn}"
        records = self.judgments.setdefault((judge, other.model), {})
        about = {"question_id": key, "model": other.model, "judge": judge, "baseline": baseline.model}
        record = records.setdefault((key, baseline.model), {**about, "games": [None, None]})
        if pair.asked and baseline.said and other.said:
            record["inputs"] = inputs_digest(self._shown.get(key, pair.asked), baseline.said, other.said)
        for shown in pair.games:
            number, label, chances = as_game(shown, is_swapped)
            game = {"user_prompt": "", "judgment": shown.text, "score": label}
            record["games"][number - 1] = game | ({"probabilities": chances} if chances is not None else {})

    def _add_label(self, pair: ForeignPair, key: str, baseline: Side, other: Side, is_swapped: bool) -> None:
        number, label, _ = as_game(pair.games[0], is_swapped)
        record = {"question_id": key, "model": other.model, "judge": None, "baseline": baseline.model, "game": number}
        more = {"label": label, "note": "", "tstamp": 0.0, "reviewer": pair.reviewer}
        self.labels.setdefault(pair.reviewer, []).append(record | more)

    def _question(self, pair: ForeignPair) -> str | None:
        """Return the id of the question of a pair; None if the bench has a question set without it."""
        text = tuple(each.strip() for each in pair.asked)
        if self._shown:
            if pair.key in self._shown:
                return pair.key
            return self._by_text.get(text) if text else None
        key = pair.key or (text_digest(pair.asked) if pair.asked else "")
        if pair.asked and key not in self.questions:
            turns = [{"content": each} for each in pair.asked]
            self.questions[key] = {"question_id": key, "category": pair.category, "cluster": "", "turns": turns}
        return key or None


def _common(pairs: Sequence[ForeignPair]) -> str:
    """Return the model that is in every pair; of two the first, "" if there is none."""
    shared = {side.model for side in pairs[0].sides}
    for pair in pairs:
        shared &= {side.model for side in pair.sides}
    return next((side.model for side in pairs[0].sides if side.model in shared), "")


def _answer(model: str, key: str, said: Sequence[str]) -> dict[str, Any]:
    turns = [{"content": text} for text in said]
    return {"question_id": key, "answer_id": key, "model_id": model, "choices": [{"index": 0, "turns": turns}]}


def _write(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.writelines(encode_json(record) + b"\n" for record in records)
