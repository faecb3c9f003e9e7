"""Judgments of both generations, and whether one is still about today's texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine.bench.jsonl import LINE, LINE_START, scan_placed
from engine.bench.problems import Loaded, ProblemLog
from engine.bench.prompts import StoredPrompts
from engine.bench.schema import JUDGMENT
from engine.judging.labels import normalise_label
from engine.judging.probabilities import Probabilities, read_probabilities
from engine.records import Label

_WANTED = (LINE, LINE_START, "question_id", "uid", "model", "judge", "games", "baseline", "settings", "inputs")

ANSWER_START = "<|The Start of Assistant {}'s Answer|>"  # how every fork's prompt template frames the two answers
ANSWER_END = "<|The End of Assistant {}'s Answer|>"


class StoredJudgment(msgspec.Struct, frozen=True):
    """What a judge said of one question. `labels` and `played` have one entry per game, in the order of the games.

    In game 1 the baseline is A, in game 2 the model is. A label is None without a verdict; a game that was not played
    is False in `played`. `baseline`, `settings` and `inputs` are None where the file does not tell them (generation 1
    of other programs tells none). `prompts` are what the judge was shown in each game that was played, only where
    `inputs` is None; they are read when they are looked at. `probabilities` has one entry per game where the judge told
    any in one of them, and is else empty.
    """

    question_id: str
    model: str | None
    judge: str | None
    labels: tuple[Label | None, ...]
    played: tuple[bool, ...]
    baseline: str | None = None
    settings: str | None = None
    inputs: str | None = None
    prompts: Sequence[str | None] = ()
    probabilities: tuple[Probabilities | None, ...] = ()


def load_judgments(
    path: Path, *, prompts: bool = True, baseline: str | None = None
) -> Loaded[dict[str, StoredJudgment]]:
    """The judgments by question id; of several of one question the last counts.

    With `baseline`, judgments that name another one are passed over, so that those of an earlier baseline are found
    again. A score that is no label is None and told. With `prompts` False no prompts are kept, so that `is_current` is
    False for judgments without `inputs`. A file that is not there has none. Raises BenchError if it cannot be read.
    """
    loaded = load_all_judgments(path, prompts=prompts)
    return Loaded(against(loaded.items, baseline), loaded.problems)


def against(judgments: Iterable[StoredJudgment], baseline: str | None) -> dict[str, StoredJudgment]:
    """By question id the last judgment that names `baseline` or none; the last of all where `baseline` is None."""
    wanted = (each for each in judgments if baseline is None or each.baseline in (None, baseline))
    return {judgment.question_id: judgment for judgment in wanted}


def load_all_judgments(path: Path, *, prompts: bool = True) -> Loaded[list[StoredJudgment]]:
    """The last judgment of each question and baseline that it names, in the order of the file. See `load_judgments`."""
    log = ProblemLog(path)
    found: dict[tuple[str, str | None], StoredJudgment] = {}
    rows = (row for frame in scan_placed(path, JUDGMENT, log) for row in frame.select(_WANTED).iter_rows())
    for line, start, question_id, uid, model, judge, games, named, settings, inputs in rows:
        key = question_id or uid
        if not key:
            log.add(line, "no question_id (or uid) in it")
            continue
        if not games:
            log.add(line, f"no games in the judgment of {key}; it counts as missing")
            continue
        found.pop((key, named), None)  # so that the order is that of the last of each
        found[key, named] = StoredJudgment(
            key,
            model,
            judge,
            labels=tuple(_label(game, line, log) for game in games),
            played=tuple(game is not None for game in games),
            baseline=named,
            settings=settings,
            inputs=inputs,
            prompts=StoredPrompts(path, start, key) if prompts and inputs is None else (),
            probabilities=_probabilities(games, line, log),
        )
    return Loaded(list(found.values()), log.result())


def is_current(
    stored: StoredJudgment,
    *,
    baseline: str,
    inputs: str,
    question_turns: Sequence[str],
    baseline_turns: Sequence[str],
    model_turns: Sequence[str],
) -> bool:
    """Whether `stored` compares exactly these texts, and this baseline where it names one.

    `inputs` is `inputs_digest` of the three. A judgment that carries no digest is checked by what the judge was shown:
    every prompt must hold the texts in the places of its game. Where nothing tells, it is not current.
    """
    if stored.baseline is not None and stored.baseline != baseline:
        return False
    if stored.inputs is not None:
        return stored.inputs == inputs
    prompts = stored.prompts.read() if isinstance(stored.prompts, StoredPrompts) else stored.prompts
    shown = [(at, prompt) for at, prompt in enumerate(prompts) if prompt]
    return bool(shown) and all(
        _shows(prompt, question_turns, baseline_turns, model_turns)
        if at % 2 == 0
        else _shows(prompt, question_turns, model_turns, baseline_turns)
        for at, prompt in shown
    )


def _shows(prompt: str, question: Sequence[str], answer_a: Sequence[str], answer_b: Sequence[str]) -> bool:
    """Whether the prompt holds the texts; in the template of all forks an answer must fill its section exactly.

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


def _label(game: dict[str, Any] | None, line: int, log: ProblemLog) -> Label | None:
    score = game["score"] if game else None
    if score is None:
        return None
    label = normalise_label(score)
    if label is None:
        log.add(line, f"{score[:40]!r} is no label; it counts as no verdict")
    return label


def _probabilities(
    games: Sequence[dict[str, Any] | None], line: int, log: ProblemLog
) -> tuple[Probabilities | None, ...]:
    """One entry per game, or none at all where no game has any."""
    told = [game["probabilities"] if game is not None else None for game in games]
    given = [each is not None and any(value is not None for value in each.values()) for each in told]
    if not any(given):
        return ()
    found = tuple(read_probabilities(each) if is_given else None for each, is_given in zip(told, given, strict=True))
    if any(is_given and each is None for is_given, each in zip(given, found, strict=True)):
        log.add(line, "the probabilities of a game do not sum to 1; it counts as having none")
    return found
