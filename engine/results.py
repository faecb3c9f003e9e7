"""From the files of a bench to its leaderboard: reads, keeps what is current, and rates.

A judgment counts only if it is of today's texts: its question is in the set, its baseline is the one asked for, and
neither question nor answers have changed since. Where an answer is not on disk there is nothing to compare with, and
the judgment's own word is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from engine.bench import Bench
from engine.bench.answers import StoredAnswer
from engine.bench.digest import inputs_digest
from engine.bench.judgments import StoredJudgment, is_current
from engine.errors import BenchError
from engine.ratings.battles import Battles, battles_from_judgments
from engine.ratings.estimate import Ratings, rate_battles
from engine.ratings.leaderboard import BenchFacts, Leaderboard, LeaderboardOptions, Rater, leaderboard
from engine.records import Question


@dataclass(frozen=True)
class JudgedBench:
    """The current judgments of a bench by some judges against one baseline, and what a leaderboard says beside them."""

    battles: Battles
    facts: BenchFacts
    warnings: Sequence[str]


def judged_bench(bench: Bench, judges: Sequence[str], baseline: str, *, with_itself: bool = False) -> JudgedBench:
    """Read what `judges` said of every model but the baseline; of the baseline against itself too, `with_itself`.

    Raises BenchError if there is no current judgment.
    """
    found = bench.questions()
    questions = {question.id: question for question in found.items}
    warnings = [str(problem) for problem in found.problems]
    answers: dict[str, Mapping[str, StoredAnswer]] = {}

    def answers_of(model: str) -> Mapping[str, StoredAnswer]:
        if model not in answers:
            loaded = bench.answers(model)
            warnings.extend(str(problem) for problem in loaded.problems)
            answers[model] = loaded.items
        return answers[model]

    verdicts: dict[tuple[str, str], list[StoredJudgment]] = {}
    for judge in judges:
        judged_models = bench.judged_models(judge)
        if not judged_models:
            warnings.append(f"there is no judgment by {judge} in this bench; it has no part in the numbers")
        for model in judged_models:
            if model == baseline and not with_itself:
                continue
            stored = bench.judgments(judge, model, baseline=baseline)
            warnings.extend(str(problem) for problem in stored.problems)
            outdated = 0
            for judgment in stored.items.values():
                question = questions.get(judgment.question_id)
                theirs = answers_of(baseline).get(judgment.question_id)
                ours = answers_of(model).get(judgment.question_id)
                if is_counted(judgment, baseline, question, theirs, ours):
                    verdicts.setdefault((judge, model), []).append(judgment)
                else:
                    outdated += 1
            if outdated:
                warnings.append(
                    f"{outdated} judgments of {model} by {judge} are of other texts than today's (another baseline, or "
                    "a question or answer that changed since or was taken out); they are not counted, and a run makes "
                    "again what is still asked for"
                )
    if not verdicts:
        raise BenchError(
            f"{bench.paths.root}: there is no judgment by {' or '.join(judges)} against {baseline}",
            _where_there_are(bench),
        )
    facts = BenchFacts(
        name=bench.paths.name,
        judges=tuple(judges),
        questions=tuple(found.items),
        token_lengths={
            model: {question_id: answer.token_len for question_id, answer in loaded.items()}
            for model, loaded in answers.items()
        },
    )
    return JudgedBench(battles_from_judgments(verdicts, baseline), facts, warnings)


def rate(judged: JudgedBench, options: LeaderboardOptions, rater: Rater = rate_battles) -> tuple[Leaderboard, Ratings]:
    """The leaderboard, with the warnings of reading in front of its own, and the ratings it rests on."""
    ratings = rater(judged.battles, options)
    board = leaderboard(ratings, options, judged.facts, rater)
    return msgspec.structs.replace(board, warnings=[*judged.warnings, *board.warnings]), ratings


def is_counted(
    judgment: StoredJudgment,
    baseline: str,
    question: Question | None,
    theirs: StoredAnswer | None,
    ours: StoredAnswer | None,
) -> bool:
    """Whether a judgment is of today's question and answers; where an answer is not on disk, its own word is taken."""
    if question is None:
        return False
    if theirs is None or ours is None:
        return judgment.baseline in (None, baseline)
    return is_current(
        judgment,
        baseline=baseline,
        inputs=inputs_digest(question.turns, theirs.turns, ours.turns),
        question_turns=question.turns,
        baseline_turns=theirs.turns,
        model_turns=ours.turns,
    )


def _where_there_are(bench: Bench) -> str:
    """What there is instead, for someone who misnamed the judge or has not run yet."""
    judges = bench.judges()
    if not judges:
        return "make them first: arena-tui --no-ui run"
    return f"judges with judgments here: {', '.join(judges)}; name one with --judge, another baseline with --baseline"
