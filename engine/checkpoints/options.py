"""What a watch watches, and how it treats the machine that a training shares with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.config.model import Config
from engine.errors import UsageProblem
from engine.ratings.stop_rule import StopRule
from engine.watching.scan import Order
from engine.work.plan import DEFAULT_WAIT, Scope

POLL_SECONDS = 1.0
IDLE_SECONDS = 600.0
RETRY_SECONDS = 60.0


@dataclass(frozen=True)
class WatchOptions:
    """What to watch and how.

    Attributes:
        folder: the folder of the training; None for requests alone.
        pattern: of the folders below it; "" for every one directly below it.
        like: the entry of the config that checkpoints are served and asked like; "" where it is clear.
        until: the stop rule against the baseline.
        until_best: a stop rule for further questions that decide between an adapter and the best one so far; None for
            none: then the two are compared on the questions that both have.
        limit: the first questions of the seeded order.
        gpus: those that servers may be started on; None for those of the config, else idle ones.
        memory: the share of a GPU's memory for each server, instead of the config's.
        nice, lock: instead of the config's, see `VllmConfig`.
        once: end when nothing is left to evaluate.
        poll: seconds between two looks at the folders.
        idle_seconds: after which servers that wait for the next checkpoint are stopped.
        retry_seconds: before the first later try of a checkpoint that failed, doubled each time; not with `once`.
        wait: see `Scope`.

    Raises UsageProblem for a rule with an opponent.
    """

    folder: Path | None
    pattern: str = ""
    order: Order = "newest"
    like: str = ""
    until: StopRule = field(default_factory=lambda: StopRule(decided=True))
    until_best: StopRule | None = None
    limit: int | None = None
    gpus: tuple[int, ...] | None = None
    memory: float | None = None
    nice: int | None = None
    lock: Path | None = None
    once: bool = False
    poll: float = POLL_SECONDS
    idle_seconds: float = IDLE_SECONDS
    retry_seconds: float = RETRY_SECONDS
    wait: float = DEFAULT_WAIT

    def __post_init__(self) -> None:
        for rule in (self.until, self.until_best):
            if rule is not None and rule.opponent is not None:
                raise UsageProblem(
                    f"stop rule {rule}: checkpoints are compared with the baseline and with the best of them",
                    "omit the name of the model",
                )

    @property
    def scope(self) -> Scope:
        """What a run of one checkpoint makes."""
        return Scope(limit=self.limit, until=self.until, wait=self.wait)

    def applied_to(self, config: Config) -> Config:
        """Return the config with what these options say of servers."""
        vllm = {"nice": self.nice, "lock": self.lock.absolute() if self.lock is not None else None}
        chosen = {key: value for key, value in vllm.items() if value is not None}
        models = config.models
        if self.memory is not None:
            models = {
                name: entry
                if entry.serve is None
                else entry.model_copy(update={"serve": entry.serve.model_copy(update={"memory": self.memory})})
                for name, entry in models.items()
            }
        return config.model_copy(update={"vllm": config.vllm.model_copy(update=chosen), "models": models})
