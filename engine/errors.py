"""Every error that the engine raises on purpose, and advice that a front end phrases in the words of its user.

    ArenaError                 a problem with a title and a hint that a user can act on
    ├── UsageProblem           the request cannot be carried out                     (exit 2)
    ├── ConfigError            config.toml is incomplete or wrong; all problems      (exit 2)
    ├── BenchError             a file of a bench cannot be used as it is             (exit 2)
    │   └── BenchLocked        another process is writing to the bench               (exit 2)
    ├── StorageError           a result could not be written (disk full, read-only)  (exit 1)
    ├── RatingError            the battles do not determine a rating                 (exit 2)
    ├── GateRefused            two results must not be compared; all reasons         (exit 2)
    └── CallFailed             one call to a model server failed permanently
        └── NeverAsked         ... before it was sent: no endpoint of its model is left

`title` states what is wrong and where; `hint` states what to do about it. Neither ever holds a key or a secret.

The engine does not know the flags and commands of its front end. A hint or a warning that needs them is an `Advice`:
a text that is complete without them, with the kinds of what the user can do (see `AdviceKind` for their parameters):

    raise UsageProblem(f"{out}: exists", Advice("name another path", AdviceKind.OUT))
    warnings.append(Advice(f"{count} judgments have other settings; recreate them", AdviceKind.REFRESH_STALE))
    Advice(f"start the server of {judge}", AdviceKind.SERVE, values=(judge,))

An `Advice` is a `str`, so it goes wherever a hint or a warning goes (`ArenaError.hint`, `ConfigProblem.hint`,
`Check.hint`, `Notice.text`, lists of warnings). Copies of its text (f-strings, `str(advice)`) drop the kinds: pass the
object on. `arena_tui.advice.phrase` appends the flags or commands of the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple


class AdviceKind(StrEnum):
    """What a user can do, each with the parameters (`Advice.values`) that it takes."""

    # Functions of the program
    RUN = "run"  # create every record that is missing
    RUN_JUDGMENTS = "run_judgments"  # create missing judgments only
    RUN_AGAINST = "run_against"  # judge models against another baseline: baseline, models joined by commas
    REFRESH_STALE = "refresh_stale"  # recreate records of other settings or texts than today's
    REFRESH_UNPARSED = "refresh_unparsed"  # repeat games without a label
    REPEATS = "repeats"  # answer and judge again, on some questions
    SERVE = "serve"  # start the server of a model: model
    REGISTER = "register"  # start the server of a model that runs on other machines find: model, folder
    REPAIR = "repair"  # repair damaged files of the bench; a dry run lists the changes
    IMPORT = "import"  # import a bench or a config
    ADD_QUESTIONS = "add_questions"  # add a file of questions as a bench: file
    PROBE = "probe"  # have the judge compare constant answers, which must lose
    RATE_BATTLES = "rate_battles"  # rate a published file of battles: file
    DEMO = "demo"  # run on simulated servers, without a config
    INSTALL_HUB = "install_hub"  # install what talks to a hub
    # Arguments of the function that was called
    CONFIG = "config"
    BENCH_NAME = "bench_name"  # the bench to import into
    OUT = "out"
    CONFIG_OUT = "config_out"  # the config file that an import writes
    OVERWRITE = "overwrite"
    MODELS = "models"
    JUDGES = "judges"
    BASELINE = "baseline"
    REFERENCE = "reference"  # of a gate
    SOFT = "soft"
    CI = "ci"
    FIRST_GAME_ONLY = "first_game_only"
    STYLE = "style"
    LIKE = "like"  # the entry that checkpoints are served like
    STRICT = "strict"  # leave out judgments that cannot be checked
    BATTLES = "battles"  # a published file of battles in place of judgments
    COLUMNS = "columns"  # which column of a file is which field of a question
    ENCODING = "encoding"  # of a file of text
    SKIP_BAD = "skip_bad"  # leave out rows that cannot be used
    APPEND = "append"  # add questions to a bench that exists
    SUBSET = "subset"  # of a data set of a hub
    HUB_SPLIT = "hub_split"  # of a data set of a hub
    HUB_FILE = "hub_file"  # of a data set of a hub
    CONFIRM = "confirm"  # carry out what would be asked about
    WITH_RESULTS = "with_results"  # also answers, judgments and labels of people


class Advice(str):
    """A hint or a warning with the kinds of what the user can do; the text is complete without them.

    `values` are the parameters of those kinds that take any.
    """

    __slots__ = ("_kinds", "_values")
    _kinds: tuple[AdviceKind, ...]
    _values: tuple[str, ...]

    def __new__(cls, text: str, *kinds: AdviceKind, values: Sequence[str] = ()) -> Advice:
        advice = super().__new__(cls, text)
        advice._kinds, advice._values = kinds, tuple(values)
        return advice

    @property
    def kinds(self) -> tuple[AdviceKind, ...]:
        return self._kinds

    @property
    def values(self) -> tuple[str, ...]:
        return self._values


class ArenaError(Exception):
    """A problem reported as a title and a hint (possibly an `Advice`), never as a traceback."""

    exit_code = 2

    def __init__(self, title: str, hint: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.title}\n  {self.hint}" if self.hint else self.title


class UsageProblem(ArenaError):
    """The request cannot be carried out."""


class ConfigProblem(NamedTuple):
    """One thing wrong in a config: where (`answers.max_tokens`), what, and what to do (possibly an `Advice`)."""

    key: str
    message: str
    hint: str = ""


class ConfigError(ArenaError):
    """A config that cannot be used; carries every problem found, not only the first."""

    def __init__(self, file: str, problems: Sequence[ConfigProblem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        super().__init__(self.describe(str))

    def describe(self, phrase: Callable[[str], str]) -> str:
        """Return the title; `phrase` turns the hint of a problem, which may be an `Advice`, into text."""
        lines = [f"{p.key}: {as_line(p.message)}" + (f" ({phrase(p.hint)})" if p.hint else "") for p in self.problems]
        count = len(self.problems)
        return f"{self.file}: {count} problem{'s' if count != 1 else ''}\n  " + "\n  ".join(lines)


class BenchError(ArenaError):
    """A file of a bench is missing or cannot be used as it is."""


class BenchLocked(BenchError):
    """Another process holds the bench open for writing."""


class StorageError(ArenaError):
    """A result could not be written; what was saved before is intact."""

    exit_code = 1


class RatingError(ArenaError):
    """The battles do not determine the ratings that were asked for."""


class GateRefused(ArenaError):
    """Results that a gate must not compare; carries every reason."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("the results are not comparable, so the gate does not pass:\n  " + "\n  ".join(reasons))


class FailureKind(StrEnum):
    """Why a call failed; the value stands in errors.jsonl."""

    CONNECTION = "connection"  # refused, reset, closed, DNS, TLS
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"  # 429
    QUOTA = "quota"  # 402, insufficient_quota: no wait of minutes helps
    SERVER = "server"  # 5xx, 408
    REJECTED = "rejected"  # 400, 404, 413, 422: the same request will never work
    UNAUTHORIZED = "unauthorized"  # 401, 403
    MALFORMED = "malformed"  # not JSON, no choices, an error object in a 200
    EMPTY = "empty"  # a reply without text
    TRUNCATED = "truncated"  # thinking used up all tokens: nothing is left to be an answer
    ABORTED = "aborted"  # finish_reason abort or error: the server cut the reply


class CallFailed(ArenaError):
    """One call failed for good, after `attempts` tries at `endpoint`."""

    exit_code = 1

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        endpoint: str = "",
        status: int | None = None,
        attempts: int = 1,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.kind = kind
        self.endpoint = endpoint
        self.status = status
        self.attempts = attempts
        self.retry_after: float | None = None  # seconds that the server asked to wait


class NeverAsked(CallFailed):
    """A call that was not sent even once, because every endpoint of its model was given up: it stays to be done."""


def as_line(*parts: str) -> str:
    """Join a title, its hint and what follows to one line; empty parts and full stops leave no mark.

    An `Advice` among the parts stays one.
    """
    kept = [text for part in parts if (text := part.strip(" ;\n\t").rstrip(".;, "))]
    line = kept[0] if kept else ""
    for text in kept[1:]:
        line += (" " if line.endswith(("?", "!")) else "; ") + text
    advice = [part for part in parts if isinstance(part, Advice)]
    kinds = [kind for part in advice for kind in part.kinds]
    return Advice(line, *kinds, values=[value for part in advice for value in part.values]) if kinds else line


def listed(items: Sequence[str], most: int = 5) -> str:
    """Join the items with commas; beyond `most`, only their number is given."""
    shown = ", ".join(items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown
