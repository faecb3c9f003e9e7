"""The current judgments of a bench as columns of numbers, and what a leaderboard shows beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from engine.bench import Bench
from engine.bench.settings import Settings, describe_difference
from engine.bench.snapshot import Columns
from engine.config.sampling import settings_digest
from engine.errors import Advice, AdviceKind, BenchError, listed
from engine.labels import FIRST_DIGIT, LABELS, NOT_PLAYED
from engine.pairing import Pairing
from engine.token_lengths import comparable_lengths

if TYPE_CHECKING:
    import polars as pl

NO_ANSWER, NO_LENGTH = -2, -1  # in place of the length of an answer in tokens
_REPLICATE = ("choice", "repeat")


class JudgedFacts(msgspec.Struct, frozen=True):
    """All of a `JudgedBench` but its numbers. `questions` are (id, category, cluster).

    The numbers are columns: of each game its question, judge, model and baseline (indices into the names), its number,
    the code of its label, its choice and repeat where any is not 0 and, if any game has them, the probabilities; and
    `tokens`, shape [answering, answered]: the lengths of the answers in tokens. A warning is its text with the kinds
    and values of its advice.
    """

    questions: list[tuple[str, str, str]]
    judged: list[str]
    models: list[str]
    answering: list[str]
    answered: list[str]
    warnings: list[tuple[str, list[AdviceKind], list[str]]]
    compared: dict[str, str]
    settings: dict[str, dict[str, list[str | None]]]
    sampling: dict[str, list[str | None]]


@dataclass(frozen=True)
class _Compared:
    """The current judgments of a model by a judge against a baseline."""

    judge: str
    model: str
    baseline: str
    rows: pl.DataFrame


class JudgedReader:
    """Reads the tables of a bench, and collects what was wrong with its files."""

    def __init__(self, bench: Bench, pairing: Pairing, *, with_itself: bool, strict: bool) -> None:
        self._bench = bench
        self._strict = strict
        self._unchecked = 0
        self._with_itself = with_itself
        self._questions = bench.index.questions()
        self._category = dict(self._questions.frame.select("key", "category").iter_rows())
        self._pairing = pairing.on(set(self._category.values()))
        self._baselines = self._pairing.names
        self._warnings = [str(problem) for problem in self._questions.problems]
        self._answering: list[str] = []  # the models whose answers the judgments were checked by

    def read(self, judged_models: Mapping[str, Sequence[str]]) -> tuple[JudgedFacts, Columns]:
        """Return all that the leaderboard rests on. Raises BenchError if there is no current judgment."""
        found: dict[tuple[str, str, str], _Compared] = {}  # by baseline, judge and model
        for judge, models in judged_models.items():
            if not models:
                self._warnings.append(f"no judgment by {judge} in this bench; it is left out")
            for model in models:
                for each in self._current(judge, model):
                    found[each.baseline, judge, model] = each
        found = {key: self._without_second_meetings(each, found) for key, each in found.items()}
        compared = [found[key] for baseline in self._baselines for key in found if key[0] == baseline]
        compared = [each for each in compared if len(each.rows)]
        if not compared:
            raise BenchError(
                f"{self._bench.paths.root}: no judgment by {' or '.join(judged_models)} "
                f"against {' or '.join(self._baselines)}"
                + (f"; {self._unchecked} cannot be checked, which strict reading leaves out" if self._strict else ""),
                _available(self._bench),
            )
        if self._unchecked:
            self._warnings.append(unchecked_warning(self._unchecked, strict=self._strict))
        columns, judged, models = _columns(list(map(self._renamed, compared)), list(judged_models))
        met = {name for each in compared for name in (each.model, each.baseline)}
        if unmet := [name for name in self._baselines if name not in met]:
            self._warnings.append(f"no model was judged against {listed(unmet)}")
        known = self._bench.settings()
        used: dict[str, Counter[str]] = {}
        settings: dict[str, dict[str, list[str | None]]] = {}
        for each in compared:
            for task, rows in self._by_rule(each):
                counts = dict(rows.group_by("settings", maintain_order=True).len().iter_rows())
                used.setdefault(task, Counter()).update({key: count for key, count in counts.items() if key})
                if self._pairing.is_split or each.baseline == self._baselines[0]:
                    settings.setdefault(each.model, {})[task] = sorted(counts, key=str)
        self._warnings += _mixed_settings(used, known)
        columns["tokens"], answered = self._tokens()
        answering = [*self._answering, *([self._pairing.anchor] if self._pairing.is_split else [])]
        for baseline in self._baselines if self._pairing.is_split else self._baselines[:1]:
            self._use_answers(baseline)
        facts = JudgedFacts(
            questions=list(self._questions.frame.select("key", "category", "cluster").iter_rows()),
            judged=judged,
            models=models,
            answering=answering,
            answered=answered,
            compared=compared_with(self._bench, self._pairing),
            settings=settings,
            sampling=self._sampling(settings, sampling_digests(known)),
            warnings=[_parts_of_advice(warning) for warning in self._warnings],
        )
        return facts, columns

    def _current(self, judge: str, model: str) -> Iterator[_Compared]:
        """Yield the judgments of `model` by `judge` that are of today's texts, by baseline."""
        import polars as pl

        tables = self._bench.index.judgments(judge, model), self._bench.index.repeats(judge, model)
        self._warnings.extend(str(problem) for table in tables for problem in table.problems)
        outdated = failed = 0
        if self._pairing.is_split:
            self._note_other_baselines(judge, model)
        for baseline in self._baselines:
            is_anchor = baseline == self._baselines[0]
            if model == baseline and not (self._with_itself and (is_anchor or self._pairing.is_split)):
                continue
            rows = self._bench.current.table(judge, model, baseline, needs_name=not is_anchor)
            if self._pairing.is_split:
                rows = rows.filter(pl.col("key").is_in(self._asked(baseline)))
            if len(rows):
                self._use_answers(baseline)
                self._use_answers(model)
            further = self._bench.current.repeats(judge, model, baseline)
            if len(further):
                if self._pairing.is_split:
                    further = further.filter(pl.col("key").is_in(self._asked(baseline)))
                rows = pl.concat([rows, further.select(rows.columns)])
            self._unchecked += len(rows.filter("unchecked"))
            yield _Compared(judge, model, baseline, counted(rows, strict=self._strict))
            if len(self._baselines) > 1 and not self._pairing.is_split:  # a nameless one may well be of another
                rows = rows.drop_nulls("baseline")
            failed += len(rows.filter("failed"))
            outdated += len(rows.filter(~pl.col("current") & ~pl.col("failed")))
        if failed:
            self._warnings.append(
                f"{failed} judgments of {model} by {judge} are of an error or nothing in place of an answer and not "
                "counted"
            )
        if outdated:
            self._warnings.append(
                f"{outdated} judgments of {model} by {judge} are of other texts than today's (another baseline, or a "
                "question or answer that was changed or removed) and not counted; a run recreates those it needs"
            )

    def _note_other_baselines(self, judge: str, model: str) -> None:
        """Report judgments against a baseline that is not that of the category of their question."""
        named = (
            self._bench.index.judgments(judge, model).frame.select("key", "baseline").drop_nulls().unique().iter_rows()
        )
        other = {
            key for key, name in named if key in self._category and name not in self._pairing.of(self._category[key])
        }
        if other:
            self._warnings.append(
                f"{len(other)} judgments of {model} by {judge} are not against the baseline of their category and not "
                "counted"
            )

    def _asked(self, baseline: str) -> list[str]:
        """Return the questions whose category has this baseline."""
        return [key for key, category in self._category.items() if baseline in self._pairing.of(category)]

    def _renamed(self, each: _Compared) -> _Compared:
        """Return the judgments under the name of all baselines, where the baseline depends on the category."""
        if not self._pairing.is_split:
            return each
        anchor = self._pairing.anchor
        return replace(each, baseline=anchor, model=anchor if each.model == each.baseline else each.model)

    def _by_rule(self, each: _Compared) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield the judgments of each way of judging, under the name of the judge and the category that has its own."""
        import polars as pl

        own = [category for category, _ in self._pairing.rules]
        parts = [(f"{each.judge} on {category}", [category]) for category in own]
        parts.append((each.judge, [category for category in set(self._category.values()) if category not in own]))
        for task, categories in parts if own else ():
            keys = [key for key, category in self._category.items() if category in categories]
            rows = each.rows.filter(pl.col("key").is_in(keys))
            if len(rows):
                yield task, rows
        if not own:
            yield each.judge, each.rows

    def _use_answers(self, model: str) -> None:
        if model not in self._answering:
            self._answering.append(model)
            self._warnings.extend(str(problem) for problem in self._bench.index.answers(model).problems)

    def _without_second_meetings(self, later: _Compared, found: Mapping[tuple[str, str, str], _Compared]) -> _Compared:
        """Leave out comparisons with an earlier baseline that there are from its side: they are the same two games."""
        if self._pairing.is_split:
            return later
        order = self._baselines.index
        if later.model not in self._baselines or order(later.model) >= order(later.baseline):
            return later
        earlier = found.get((later.model, later.judge, later.baseline))
        if earlier is None:
            return later
        return replace(later, rows=later.rows.join(earlier.rows, on="key", how="anti", maintain_order="left"))

    def _tokens(self) -> tuple[npt.NDArray[Any], list[str]]:
        """Return the lengths of the answers in tokens, [answering, answered], and the answered questions.

        Where the baseline depends on the category, a last row has the answers of all baselines.
        """
        lengths, _, warning = comparable_lengths(self._bench.index, self._answering)
        if warning:
            self._warnings.append(warning)
        place: dict[str, int] = {}
        for known in lengths.values():
            for key in known:
                place.setdefault(key, len(place))
        tokens = np.full((len(lengths), len(place)), NO_ANSWER, dtype=np.int32)
        for row, known in enumerate(lengths.values()):
            tokens[row, [place[key] for key in known]] = [
                NO_LENGTH if length is None else length for length in known.values()
            ]
        if self._pairing.is_split:
            rows = {model: row for row, model in enumerate(lengths)}
            of_all = np.full(len(place), NO_ANSWER, dtype=np.int32)
            for baseline in self._baselines:
                mine = [place[key] for key in self._asked(baseline) if key in place and baseline in rows]
                of_all[mine] = tokens[rows[baseline], mine] if mine else NO_ANSWER
            tokens = np.vstack([tokens, of_all])
        return tokens, list(place)

    def _sampling(self, models: Iterable[str], made_with: Mapping[str, str]) -> dict[str, list[str | None]]:
        """Return by model the digests of the settings of its answers, its name aside."""
        used = {model: self._bench.index.answers(model).frame["settings"].unique() for model in models}
        return {
            model: sorted({made_with.get(digest or "") for digest in digests}, key=str)
            for model, digests in used.items()
            if len(digests)
        }


def compared_with(bench: Bench, pairing: Pairing) -> dict[str, str]:
    """Return by question the digest of its text and of its baseline's answer, where both are on disk."""
    against = bench.current.digests_against
    if not pairing.is_split:
        return against(pairing.baselines[0])
    found = {baseline: against(baseline) for baseline in pairing.names}
    own = {
        key: pairing.of(category)[0]
        for key, category in bench.index.questions().frame.select("key", "category").iter_rows()
    }
    return {key: found[baseline][key] for key, baseline in own.items() if key in found[baseline]}


def counted(rows: pl.DataFrame, *, strict: bool) -> pl.DataFrame:
    """Return the judgments of a table of `CurrentJudgments` that count."""
    import polars as pl

    return rows.filter(pl.col("current") & ~pl.col("unchecked") if strict else pl.col("current"))


def unchecked_warning(count: int, *, strict: bool) -> str:
    """Return the warning about judgments that are of today's texts as far as can be seen."""
    text = (
        f"{count} judgments cannot be checked against today's texts (they hold neither prompts nor a digest, or an "
        "answer is not on disk)"
    )
    return (
        f"{text} and are not counted"
        if strict
        else Advice(f"{text} and are counted; leave them out", AdviceKind.STRICT)
    )


def _columns(compared: Sequence[_Compared], judges: Sequence[str]) -> tuple[Columns, list[str], list[str]]:
    """Return the played games as columns, and the questions and models that these are indices into."""
    import polars as pl

    models = list(dict.fromkeys(name for each in compared for name in (each.model, each.baseline)))
    keys = pl.concat([each.rows.select("key", "games", "odds", *_REPLICATE) for each in compared], rechunk=True)
    questions = keys["key"].unique(maintain_order=True)
    counts = [len(each.rows) for each in compared]

    def repeated(values: list[int]) -> npt.NDArray[Any]:
        return np.repeat(np.array(values, dtype=np.int32), counts)

    place = questions.to_frame().with_row_index(
        "question"
    )  # polars takes in no array of numpy: it would import numpy.ma
    games = keys.join(place, on="key", how="left", maintain_order="left")
    of_games = {
        "question": games["question"].to_numpy().astype(np.int32),
        "model": repeated([models.index(each.model) for each in compared]),
        "baseline": repeated([models.index(each.baseline) for each in compared]),
        "judge": repeated([judges.index(each.judge) for each in compared]),
    }
    if any(games[name].max() for name in _REPLICATE):
        of_games |= {name: games[name].to_numpy() for name in _REPLICATE}
    lengths = games["games"].str.len_bytes().to_numpy()
    label = np.frombuffer("".join(games["games"]).encode(), np.int8) - np.int8(FIRST_DIGIT)
    number = np.arange(len(label)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    played = label != NOT_PLAYED
    columns: Columns = {name: np.repeat(values, lengths)[played] for name, values in of_games.items()}
    columns["game"], columns["label"] = number[played].astype(np.int8), label[played]
    if games["odds"].null_count() < len(games):
        absent = [float("nan")] * len(LABELS)
        given = [
            odds or absent * length for odds, length in zip(games["odds"].to_list(), lengths.tolist(), strict=True)
        ]
        columns["probabilities"] = np.array([value for each in given for value in each]).reshape(-1, len(LABELS))[
            played
        ]
    return columns, questions.to_list(), models


def _parts_of_advice(text: str) -> tuple[str, list[AdviceKind], list[str]]:
    if isinstance(text, Advice):
        return str(text), list(text.kinds), list(text.values)
    return text, [], []


def _mixed_settings(used: Mapping[str, Counter[str]], known: Mapping[str, Settings]) -> list[Advice]:
    """Return a warning for each judge whose judgments were made in several ways (verdicts, prompts, sampling)."""
    warnings = []
    for judge, counts in used.items():
        (first, _), *others = counts.most_common() or [("", 0)]
        for digest, count in others:
            known_both = first in known and digest in known
            how = describe_difference(known[digest], known[first]) if known_both else ""
            text = f"{count} of {counts.total()} judgments by {judge} were made with other settings than the rest"
            rated = "all are rated together; recreate those with other settings than today's"
            warnings.append(Advice(f"{text} ({how or 'unknown ones'}); {rated}", AdviceKind.REFRESH_STALE))
    return warnings


def _available(bench: Bench) -> Advice:
    """Return what can be done without a judgment by the judges that were named."""
    judges = bench.judges()
    if not judges:
        return Advice("create them first", AdviceKind.RUN)
    text = f"judges with judgments here: {', '.join(judges)}; name one of them, or another baseline"
    return Advice(text, AdviceKind.JUDGES, AdviceKind.BASELINE)


def sampling_digests(known: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Return the digests of settings without the name of their model, by the digests of the whole."""
    return {
        digest: settings_digest({key: value for key, value in settings.items() if key != "model"})
        for digest, settings in known.items()
    }
