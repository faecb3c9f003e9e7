"""Asking a judge anew: constant answers against the baseline's, that one against itself, and verdicts given before.

Nothing is written to the bench: these games are about the judge, not about a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.audit.constants import CONSTANT_ANSWERS
from engine.audit.trial_games import TrialGame, TrialPlan, identical_games, probe_games, repeat_games
from engine.bench.answers import StoredAnswer
from engine.config.model import Config
from engine.errors import CallFailed, UsageProblem
from engine.judging.games import game_messages
from engine.judging.prompts import JudgePrompt
from engine.models.client import ModelClient
from engine.models.session import open_session
from engine.ratings.audit.trials import (
    IdenticalProbe,
    ProbeResult,
    RepeatReport,
    identical_probe,
    probe_result,
    repeat_report,
)
from engine.records import Game, Label, Question
from engine.work.ask_game import GameAsker
from engine.work.reach import reachable
from engine.work.scheduler import Gate, Lane
from engine.work.sources import listed
from engine.work.survey import prompt_of


@dataclass(frozen=True)
class Trials:
    """What came of it; None for what was not asked. `failed` of `games` could not be played, `failures` say why."""

    probes: list[ProbeResult] | None
    identical: IdenticalProbe | None
    repeats: RepeatReport | None
    games: int
    failed: int
    failures: Sequence[str] = ()


class TrialJudge:
    """Plays games with a judge as a run would: its prompt, its sampling, its kind of verdict, its number of asks."""

    def __init__(self, asker: GameAsker, prompt: JudgePrompt, asks: int) -> None:
        self._asker = asker
        self._prompt = prompt
        self._asks = asks

    async def play(self, game: TrialGame) -> None:
        """Ask until there is a label, or no more asks. Raises CallFailed."""
        opening = game_messages(self._prompt, game.question, game.baseline_turns, game.turns, game.number)
        played: Game | None = None
        while played is None or (
            played.score is None and played.asks < self._asks and not self._asker.gives_up(played)
        ):
            played = await self._asker.ask(opening, played, prefix=game.question.id)
        game.label = played.score
        game.is_played = True


async def ask_judge(
    config: Config,
    judge: str,
    baseline: str,
    questions: Sequence[Question],
    answers: Mapping[str, Mapping[str, StoredAnswer]],
    plan: TrialPlan,
    tell: Callable[[str], None] = lambda _: None,
) -> Trials:
    """Make the calls of `plan`. Raises UsageProblem where the judge cannot be called or there is nothing to compare.

    `answers` are by model and question id, the baseline's among them; `tell` gets what a user should know meanwhile.
    """
    probes = probe_games(questions, answers.get(baseline, {}), plan) if plan.probe else []
    identical = identical_games(questions, answers.get(baseline, {}), plan) if plan.probe else []
    repeats = repeat_games(questions, answers, baseline, plan) if plan.repeat else []
    games = [game for group in (*probes, identical, *repeats) for game in group]
    if not games:
        raise UsageProblem(f"there is no answer of the baseline {baseline} to compare with", "make it with a run first")
    tell(f"asking {judge}: {len(games)} games")
    failures = await _play(config, judge, games, tell)
    return Trials(
        probes=[
            probe_result(
                constant.name,
                constant.english,
                *_columns([game for game in group if game.is_played]),
                plan.seed,
            )
            for constant, group in zip(CONSTANT_ANSWERS, probes, strict=True)
        ]
        if plan.probe
        else None,
        identical=_identical([game for game in identical if game.is_played], plan.seed) if plan.probe else None,
        repeats=_repeats([group for group in repeats if all(game.is_played for game in group)], plan.seed)
        if plan.repeat
        else None,
        games=len(games),
        failed=sum(not game.is_played for game in games),
        failures=failures,
    )


async def _play(config: Config, judge: str, games: Sequence[TrialGame], tell: Callable[[str], None]) -> list[str]:
    """Play all games; returns what went wrong, each kind once."""
    entry = config.models.get(judge)
    if entry is None or not entry.endpoints:
        raise UsageProblem(
            f"{judge} has no endpoint to be asked at",
            f'add endpoints = [{{ base_url = "..." }}] to [models."{judge}"]; '
            f"`arena-tui serve {judge}` starts the server that its [serve] table tells of",
        )
    failures: dict[str, str] = {}
    async with open_session() as session:
        endpoints, reports = await reachable(session, config, judge)
        unfit = [report for report in reports if not report.ok]
        if not endpoints:
            report = unfit[0]
            raise UsageProblem(f"{judge}: {report.url}: {report.error}", report.hint)
        for report in unfit:
            tell(f"warning: {judge}: {report.url}: {report.error}. {report.hint}")
        client = ModelClient(
            judge,
            endpoints,
            parallel=entry.parallel,
            rate=entry.rate,
            timeout=entry.timeout,
            attempts=entry.attempts,
            counts_tokens=config.provider(judge).counts_tokens,
            session=session,
            emit=lambda _: None,
        )
        player = TrialJudge(
            GameAsker(client, config, judge), prompt_of(config), config.judge.retries + config.judge.mode.thinks_first
        )

        def fail(_: TrialGame, error: CallFailed) -> None:
            failures.setdefault(error.kind.value, error.title)

        await Lane(listed(games), client, player.play, fail, Gate()).run()
    return [f"{kind}: {title}" for kind, title in failures.items()]


def _columns(games: Sequence[TrialGame]) -> tuple[list[str], list[int], list[Label | None]]:
    return [game.question.id for game in games], [game.number for game in games], [game.label for game in games]


def _identical(games: Sequence[TrialGame], seed: int) -> IdenticalProbe:
    questions, _, labels = _columns(games)
    return identical_probe(questions, labels, seed)


def _repeats(groups: Sequence[Sequence[TrialGame]], seed: int) -> RepeatReport:
    return repeat_report(
        [group[0].question.id for group in groups], [[game.label for game in group] for group in groups], seed
    )
