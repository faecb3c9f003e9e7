"""From the files of a bench to its leaderboard: reads, keeps what is current, and rates.

A judgment counts only if it is of today's texts: its question is in the set, its baseline is the one asked for, and
neither question nor answers have changed since. Where an answer is not on disk there is nothing to compare with, and
the judgment's own word is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from engine.bench import Bench
from engine.bench.answers import StoredAnswer
from engine.bench.digest import inputs_digest
from engine.bench.judgments import StoredJudgment, is_current
from engine.config.sampling import settings_digest
from engine.errors import BenchError
from engine.ratings.battles import Battles, battles_from_judgments
from engine.ratings.estimate import RatingOptions, Ratings, rate_battles
from engine.ratings.evidence import Evidence, Origin, evidence
from engine.ratings.leaderboard import BenchFacts, Leaderboard, LeaderboardOptions, Rater, leaderboard
from engine.records import Question


@dataclass(frozen=True)
class JudgedBench:
    """The current judgments of a bench by some judges against one baseline, and what a leaderboard says beside them."""

    battles: Battles
    facts: BenchFacts
    warnings: Sequence[str]
    compared: Mapping[str, tuple[Sequence[str], Sequence[str]]] = field(default_factory=dict)
    """By question, its turns and the baseline's answer, where both are on disk."""
    settings: Mapping[str, Mapping[str, Sequence[str | None]]] = field(default_factory=dict)
    """By model and judge, the digests of the settings that the judgments were made with."""

    sampling: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    """By model, the digests of what its answers were made with, its name aside."""

    def evidence(self, options: RatingOptions) -> Evidence:
        """What the ratings rest on, question by question. Raises RatingError where the baseline takes no part."""
        texts = {question: inputs_digest(*texts, ()) for question, texts in self.compared.items()}
        return evidence(self.battles, options, Origin(texts, self.settings, self.sampling))


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
    settings: dict[str, dict[str, Sequence[str | None]]] = {}
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
            if counted := verdicts.get((judge, model)):
                settings.setdefault(model, {})[judge] = sorted({each.settings for each in counted}, key=str)
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
    compared = {
        question_id: (questions[question_id].turns, answer.turns)
        for question_id, answer in answers.get(baseline, {}).items()
        if question_id in questions
    }
    made_with = sampling_digests(bench.settings())
    sampling = {
        model: sorted({made_with.get(answer.settings or "") for answer in answers[model].values()}, key=str)
        for model in settings
        if answers.get(model)
    }
    battles = battles_from_judgments(verdicts, baseline)
    return JudgedBench(battles, facts, warnings, compared, settings, sampling)


def sampling_digests(known: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Digests of settings without the name of the model that has them, by the digests of the whole."""
    return {
        digest: settings_digest({key: value for key, value in settings.items() if key != "model"})
        for digest, settings in known.items()
    }


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
