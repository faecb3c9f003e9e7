"""Phrases the engine's advice in the words of the command line: its flags and commands stand here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import Advice, AdviceKind, ArenaError, ConfigError

SPELLINGS: dict[AdviceKind, str] = {  # {0}, {1}: the values of the advice
    AdviceKind.RUN: "`arena-tui run`",
    AdviceKind.RUN_JUDGMENTS: "`arena-tui run --stage judgments`",
    AdviceKind.RUN_AGAINST: "`arena-tui run --baseline {0} --models {1}`",
    AdviceKind.REFRESH_STALE: "`run --refresh stale`",
    AdviceKind.REFRESH_UNPARSED: "`run --refresh unparsed`",
    AdviceKind.REPEATS: "`arena-tui run --repeats 2 --limit 80`",
    AdviceKind.SERVE: "`arena-tui serve {0}`",
    AdviceKind.REGISTER: "`arena-tui serve {0} --register {1}`",
    AdviceKind.REPAIR: "`arena-tui doctor --repair`; with --dry-run it only lists the changes",
    AdviceKind.IMPORT: "`arena-tui import SOURCE`",
    AdviceKind.ADD_QUESTIONS: "`arena-tui bench add {0}`",
    AdviceKind.PROBE: "`arena-tui audit --probe`",
    AdviceKind.RATE_BATTLES: "`arena-tui leaderboard --battles {0}`",
    AdviceKind.DEMO: "`arena-tui --demo`",
    AdviceKind.INSTALL_HUB: "`pip install 'arena-tui[hub]'`",
    AdviceKind.CONFIG: "-c FILE",
    AdviceKind.BENCH_NAME: "--name",
    AdviceKind.OUT: "--out",
    AdviceKind.CONFIG_OUT: "--output",
    AdviceKind.OVERWRITE: "--force",
    AdviceKind.MODELS: "--models",
    AdviceKind.JUDGES: "--judge",
    AdviceKind.BASELINE: "--baseline",
    AdviceKind.REFERENCE: "--not-worse-than",
    AdviceKind.SOFT: "--soft",
    AdviceKind.CI: "--ci",
    AdviceKind.FIRST_GAME_ONLY: "--first-game-only",
    AdviceKind.STYLE: "--style",
    AdviceKind.LIKE: "--like",
    AdviceKind.STRICT: "--strict",
    AdviceKind.BATTLES: "--battles",
    AdviceKind.COLUMNS: "--map COLUMN=FIELD",
    AdviceKind.ENCODING: "--encoding",
    AdviceKind.SKIP_BAD: "--skip-bad",
    AdviceKind.APPEND: "--append",
    AdviceKind.SUBSET: "--subset",
    AdviceKind.HUB_SPLIT: "--split",
    AdviceKind.HUB_FILE: "--file",
    AdviceKind.CONFIRM: "--yes",
    AdviceKind.WITH_RESULTS: "--with-results",
}


def phrase(text: str) -> str:
    """Return the text of the engine, followed by flags in brackets or by commands if it is an `Advice`."""
    if not isinstance(text, Advice) or not text.kinds:
        return str(text)
    spelled = [SPELLINGS[kind].format(*text.values) for kind in text.kinds]
    listed = ", ".join(spelled)
    return f"{text!s} ({listed})" if all(each.startswith("-") for each in spelled) else f"{text!s}: {listed}"


def title(error: ArenaError) -> str:
    """Return the title of an error, with the hints of a config's problems phrased."""
    return error.describe(phrase) if isinstance(error, ConfigError) else error.title


def phrase_all(texts: Iterable[str]) -> list[str]:
    """Return each text, phrased."""
    return [phrase(text) for text in texts]
