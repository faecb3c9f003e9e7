"""The one test of whether a judgment is of today's texts, for single judgments and for all of a file at once.

A judgment counts if its question is in the set and it compares today's question and answers. One that carries a digest
of its texts (`inputs`) is checked by it, any other by what the judge was shown. Where an answer is not on disk, or the
judgment has neither digest nor prompts, nothing can be checked: it counts, and is reported. One of a question whose
only answer on disk is an error never counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.bench.decoding import ANSWER_END, ANSWER_START, answer_lines, judgment_lines, question_lines
from engine.bench.digest import inputs_digest
from engine.bench.index import BenchIndex, Table, frame_bytes, read_cache, write_cache
from engine.bench.lines import LineSpan
from engine.bench.stored import StoredJudgment, StoredPrompts
from engine.errors import BenchError
from engine.labels import labels_of
from engine.repeats import Replicate

if TYPE_CHECKING:
    import polars as pl

_TEXTS = ("question", "theirs", "ours")
_CHOICES = ("choice", "baseline_choice")  # of the model's answer and of the baseline's
_CHECKED = ("mark", *_TEXTS)


def is_current(
    stored: StoredJudgment,
    *,
    baseline: str,
    inputs: str,
    question_turns: Sequence[str],
    baseline_turns: Sequence[str],
    model_turns: Sequence[str],
) -> bool | None:
    """Return whether `stored` compares exactly these texts, and this baseline where it names one.

    `inputs` is `inputs_digest` of the three. None for a judgment that has neither digest nor prompts.
    """
    if stored.baseline is not None and stored.baseline != baseline:
        return False
    if stored.inputs is not None:
        return stored.inputs == inputs
    prompts = tuple(stored.prompts)
    return _show(prompts, question_turns, baseline_turns, model_turns) if any(prompts) else None


@dataclass(frozen=True)
class JudgmentsAgainst:
    """The judgments of a model by a judge against a baseline, by question, and which of them are current.

    `repeats` are the further ones, by question and replicate.
    """

    stored: Mapping[str, StoredJudgment]
    current: frozenset[str]
    repeats: Mapping[tuple[str, Replicate], StoredJudgment] = field(default_factory=dict)
    current_repeats: frozenset[tuple[str, Replicate]] = frozenset()


class CurrentJudgments:
    """Finds the current judgments of a bench by the digests in its index; what only texts can show is kept there too.

    Reads files; all methods raise BenchError for one that cannot be read. May be used by several threads.
    """

    def __init__(self, index: BenchIndex) -> None:
        self._index = index
        self._texts: dict[Path, _Texts] = {}
        self._compared: dict[str, tuple[Table, Table, dict[str, str]]] = {}

    def table(self, judge: str, model: str, baseline: str, *, needs_name: bool = False) -> pl.DataFrame:
        """Return the judgments of `model` that name `baseline` or none, the last of each question.

        The columns are those of the index, `current`, `unchecked` (current as far as can be seen, but nothing could be
        checked) and `failed` (of an error in place of an answer). With `needs_name`, a judgment that names no baseline
        counts only if it can be checked.
        """
        import polars as pl

        stored = self._index.judgments(judge, model)
        of_baseline = pl.col("baseline").is_null() | (pl.col("baseline") == baseline)
        rows = stored.frame.filter(of_baseline).unique("key", keep="last", maintain_order=True)
        tables = self._index.questions(), self._index.answers(baseline), self._index.answers(model)
        for name, table in zip(_TEXTS, tables, strict=True):
            digests = table.frame.select("key", pl.col("digest").alias(name))
            rows = rows.join(digests, on="key", how="left", maintain_order="left")
        rows = rows.with_columns(pl.lit(0, pl.Int32).alias(name) for name in (*_CHOICES, "repeat"))
        has_texts = pl.all_horizontal(pl.col(_TEXTS).is_not_null())
        shows = (
            pl.col("inputs").is_null()
            & (pl.col("shown_question") == pl.col("question"))
            & (pl.col("shown_baseline") == pl.col("theirs"))
            & (pl.col("shown_model") == pl.col("ours"))
        ).fill_null(value=False)
        unchecked = pl.col("question").is_not_null() & ~(has_texts & pl.col("is_checkable"))
        if needs_name:
            unchecked &= pl.col("baseline").is_not_null()
        failed = pl.col("key").is_in(list(tables[1].failed | tables[2].failed))
        rows = rows.with_columns(failed=failed, unchecked=unchecked & ~failed, current=(unchecked & ~failed) | shows)
        unsure = rows.filter(has_texts & pl.col("is_checkable") & ~shows)
        if len(unsure):
            checks = self._checks(stored.path, unsure, tables)
            rows = rows.join(checks, on=list(_CHECKED), how="left", maintain_order="left")
            rows = rows.with_columns(current=pl.col("current") | pl.col("fits").fill_null(value=False)).drop("fits")
        return rows.drop(_TEXTS)

    def repeats(self, judge: str, model: str, baseline: str) -> pl.DataFrame:
        """Return the further judgments of `model` against `baseline`, the last of each question and replicate.

        The columns are those of `table`. Only this program writes them, so each has a digest of its texts. One of an
        answer that its record no longer holds is not current.
        """
        import polars as pl

        stored = self._index.repeats(judge, model)
        rows = stored.frame.filter(pl.col("inputs").is_not_null() & (pl.col("baseline") == baseline))
        rows = rows.unique(["key", "choice", "repeat"], keep="last", maintain_order=True)
        no = pl.lit(value=False)
        if not len(rows):
            return rows.with_columns(failed=no, unchecked=no, current=no)
        tables = self._index.questions(), self._index.answers(baseline), self._index.answers(model)
        theirs = _choice_digests(tables[1]).rename({"choice": "baseline_choice", "digest": "theirs"})
        ours = _choice_digests(tables[2]).rename({"digest": "ours"})
        questions = tables[0].frame.select("key", pl.col("digest").alias("question"))
        rows = rows.join(questions, on="key", how="left", maintain_order="left")
        rows = rows.join(theirs, on=["key", "baseline_choice"], how="left", maintain_order="left")
        rows = rows.join(ours, on=["key", "choice"], how="left", maintain_order="left")
        has_texts = pl.all_horizontal(pl.col(_TEXTS).is_not_null())
        answered = [set(table.frame["key"]) for table in tables[1:]]
        has_answers = pl.all_horizontal(pl.col("key").is_in(list(keys)) for keys in answered)
        failed = pl.col("key").is_in(list(tables[1].failed | tables[2].failed))
        unchecked = pl.col("question").is_not_null() & ~has_answers & ~failed
        rows = rows.with_columns(failed=failed, unchecked=unchecked, current=unchecked)
        if len(sure := rows.filter(has_texts)):
            checks = self._checks(stored.path, sure, tables)
            rows = rows.join(checks, on=list(_CHECKED), how="left", maintain_order="left")
            rows = rows.with_columns(current=pl.col("current") | pl.col("fits").fill_null(value=False)).drop("fits")
        return rows.drop(_TEXTS)

    def listed(self, judge: str, model: str, baseline: str) -> JudgmentsAgainst:
        """Return the judgments of `table` one by one."""
        rows = self.table(judge, model, baseline)
        path = self._index.judgments(judge, model).path
        columns = "key", "start", "length", "baseline", "settings", "inputs", "games"
        stored = {}
        for key, start, length, named, settings, inputs, games in rows.select(columns).iter_rows():
            labels, played = labels_of(games)
            prompts = StoredPrompts(path, LineSpan(start, length), key) if inputs is None else ()
            stored[key] = StoredJudgment(key, model, judge, labels, played, named, settings, inputs, prompts)
        further = self.repeats(judge, model, baseline)
        repeats, current = {}, set()
        of_repeats = "key", "settings", "inputs", "games", "baseline_choice", "choice", "repeat", "current"
        for key, settings, inputs, games, against, *which, is_of_today in further.select(of_repeats).iter_rows():
            name = key, Replicate(*which)
            labels, played = labels_of(games)
            repeats[name] = StoredJudgment(
                key, model, judge, labels, played, baseline, settings, inputs, baseline_choice=against
            )
            if is_of_today:
                current.add(name)
        return JudgmentsAgainst(stored, frozenset(rows.filter("current")["key"]), repeats, frozenset(current))

    def digests_against(self, baseline: str) -> dict[str, str]:
        """Return by question the digest of its text and of the answer of `baseline`, where both are on disk."""
        tables = self._index.questions(), self._index.answers(baseline)
        held = self._compared.get(baseline)
        if held is None or held[0] is not tables[0] or held[1] is not tables[1]:
            questions, theirs = map(self._texts_of, tables)
            digests = {
                key: inputs_digest(questions[key], theirs[key], ()) for key in theirs.spans if key in questions.spans
            }
            held = self._compared[baseline] = (*tables, digests)
        return held[2]

    def _checks(self, path: Path, unsure: pl.DataFrame, tables: tuple[Table, Table, Table]) -> pl.DataFrame:
        """Return what is known by digests of whether judgments are of texts, those of `unsure` included."""
        import polars as pl

        place = self._index.cache_file(path, ".checks")
        known = _read_checks(place)
        new = unsure.join(known, on=list(_CHECKED), how="anti", maintain_order="left")
        if not len(new):
            return known
        questions, theirs, ours = self._texts_of(tables[0]), self._texts_of(tables[1]), _Texts(tables[2])
        rows = []
        for key, start, length, inputs, choice, against, *digests in new.select(
            "key", "start", "length", "inputs", *_CHOICES, *_CHECKED
        ).iter_rows():
            try:
                texts = questions[key], theirs.choice(key, against), ours.choice(key, choice)
                if inputs is not None:
                    fits = inputs == inputs_digest(*texts)
                else:
                    games = judgment_lines.read_at(path, LineSpan(start, length), key).games or ()
                    fits = _show([None if game is None else game.shown() for game in games], *texts)
            except BenchError:  # the file was changed just now; the next look reads it again
                continue
            rows.append((*digests, fits))
        found = pl.concat([known, pl.DataFrame(rows, schema=known.schema, orient="row")])
        write_cache(place, ChecksHeader(), frame_bytes(found))
        return found

    def _texts_of(self, table: Table) -> _Texts:
        """Return the texts of the question set or of a baseline, which are read for every model."""
        held = self._texts.get(table.path)
        if held is None or held.table is not table:
            held = self._texts[table.path] = _Texts(table)
        return held


class ChecksHeader(msgspec.Struct, frozen=True):
    """Checks hold by the digests in them, whatever file they were made for."""

    kind: str = "checks"


class _Texts:
    """The texts of questions or answers, each read by its byte range when it is first used."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.spans = table.spans
        self._is_questions = "category" in table.frame.columns
        self._held: dict[str, Sequence[str]] = {}
        self._others: dict[str, Sequence[Sequence[str] | None]] = {}

    def __getitem__(self, key: str) -> Sequence[str]:
        if key not in self._held:
            place = self.table.path, self.spans[key], key
            if self._is_questions:
                question = question_lines.read_at(*place).question()
                self._held[key] = question.shown if question is not None else ()
            else:
                self._held[key] = answer_lines.read_at(*place).usable() or ()
        return self._held[key]

    def choice(self, key: str, index: int) -> Sequence[str]:
        """Return one choice of an answer."""
        if not index:
            return self[key]
        if key not in self._others:
            self._others[key] = answer_lines.read_at(self.table.path, self.spans[key], key).others()
        others = self._others[key]
        return (others[index - 1] if index <= len(others) else None) or ()


def _choice_digests(table: Table) -> pl.DataFrame:
    """Return the digest of every usable choice of every answer: key, choice and digest."""
    import polars as pl

    frame = table.frame
    every = pl.concat_list(pl.col("digest"), pl.col("others").fill_null([]))
    found = frame.select(
        "key", every.alias("digest"), pl.int_ranges(0, every.list.len(), dtype=pl.Int32).alias("choice")
    )
    return found.explode("digest", "choice").drop_nulls("digest")


def _read_checks(place: Path) -> pl.DataFrame:
    import polars as pl

    schema = {**dict.fromkeys(_CHECKED, pl.UInt64), "fits": pl.Boolean}
    held = read_cache(place, ChecksHeader)
    if held is not None:
        with suppress(pl.exceptions.PolarsError):
            frame = pl.read_ipc(bytes(held[1]))
            if dict(frame.schema) == schema:
                return frame
    return pl.DataFrame(schema=schema)


def _show(prompts: Sequence[str | None], question: Sequence[str], theirs: Sequence[str], ours: Sequence[str]) -> bool:
    """Return whether all prompts hold the texts in the places of their game."""
    shown = [(at, prompt) for at, prompt in enumerate(prompts) if prompt]
    return all(
        _shows(prompt, question, theirs, ours) if at % 2 == 0 else _shows(prompt, question, ours, theirs)
        for at, prompt in shown
    )


def _shows(prompt: str, question: Sequence[str], answer_a: Sequence[str], answer_b: Sequence[str]) -> bool:
    """Return whether the prompt holds the texts; in the template of all forks an answer must fill its section exactly.

    Being contained is not enough there: an answer that was cut since, or another that begins alike, is contained too.
    """
    if not all(text in prompt for text in (*question, *answer_a, *answer_b)):
        return False
    if ANSWER_START.format("A") not in prompt or len(answer_a) != 1 or len(answer_b) != 1:
        return True
    return all(
        f"{ANSWER_START.format(side)}\n{answer}\n{ANSWER_END.format(side)}" in prompt
        for side, (answer,) in (("A", answer_a), ("B", answer_b))
    )
