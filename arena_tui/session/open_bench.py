"""The config and the bench of a session once they are open, and what was judged there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena_tui.session.judged_cache import JudgedCache
from engine.errors import UsageProblem

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.config.model import Config
    from engine.results import JudgedBench
    from engine.review.library import Library


class OpenBench:
    """A config with its bench, or neither yet. Judgments are read once, and again when their files have changed."""

    def __init__(self) -> None:
        self._config: Config | None = None
        self._bench: Bench | None = None
        self._judged = JudgedCache()
        self._library: Library | None = None

    @property
    def is_open(self) -> bool:
        return self._config is not None

    @property
    def config(self) -> Config:
        if self._config is None:
            raise UsageProblem("no config is open yet")
        return self._config

    @property
    def bench(self) -> Bench:
        if self._bench is None:
            raise UsageProblem("no bench is open yet")
        return self._bench

    async def judged(
        self, judges: Sequence[str] | None = None, baselines: Sequence[str] = (), *, strict: bool = False
    ) -> JudgedBench:
        """Return the current judgments of `judges` against `baselines`, by default the config's.

        With `strict`, only those that can be checked. Raises BenchError.
        """
        return await self._judged.load(
            self.bench,
            judges or self.config.judge.model,
            self.config.with_baselines(baselines).judge.pairing,
            self.config,
            strict=strict,
        )

    @property
    def library(self) -> Library:
        """The judgments of the bench, for reading them one by one."""
        if self._library is None or self._library.bench is not self.bench:
            from engine.review.library import Library

            self._library = Library(self.bench, self.config.judge.pairing)
        return self._library
