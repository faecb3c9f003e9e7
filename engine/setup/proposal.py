"""Proposes who answers, who judges and the baseline, from a bench and the servers found. Pure.

Whatever the user has chosen is kept as long as it is possible.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from engine.formats.original_categories import PUBLISHED, general_rule
from engine.setup.benches import FoundBench
from engine.setup.servers import Address, FoundServer

_SIZE = re.compile(r"(?<![A-Za-z0-9])(?:(\d+)x)?(\d+(?:\.\d+)?)[bB](?![A-Za-z0-9])")
_JUDGE_WORDS = re.compile(r"judge|(?<![a-z])AH(?![a-z])|reward|arbiter", re.IGNORECASE)
_USUAL_BASELINES = (  # of the published benches
    "gpt-4-0314", "o3-mini-2025-01-31", "gpt-4.1", "Phi-3-medium-128k-instruct", "gpt-3.5-turbo-0125",
)  # fmt: skip
_BASE_WORDS = re.compile(r"base(?:line)?(?![a-z])|^sft(?![a-z])|init", re.IGNORECASE)


class Candidate(msgspec.Struct, frozen=True):
    """A model that can take part: served somewhere, or with answers on disk, or both.

    `name` is that of its entry in the config, `served_as` what its servers call it, `answers` its records on disk.
    """

    name: str
    served_as: str = ""
    addresses: tuple[Address, ...] = ()
    answers: int = 0

    @property
    def is_served(self) -> bool:
        return bool(self.addresses)


class Wishes(msgspec.Struct, frozen=True):
    """What the user has chosen; None is left to the proposal."""

    bench: str | None = None
    answers: tuple[str, ...] | None = None
    judge: str | None = None
    baseline: str | None = None


class Setup(msgspec.Struct, frozen=True):
    """A bench and the roles of the models. An empty `judge` or `baseline` is one that nothing was found for."""

    bench: FoundBench | None = None
    candidates: tuple[Candidate, ...] = ()
    answers: tuple[str, ...] = ()
    judge: str = ""
    baseline: str = ""

    @property
    def served(self) -> list[str]:
        """Who can be called."""
        return [candidate.name for candidate in self.candidates if candidate.is_served]

    @property
    def baselines(self) -> list[str]:
        """The models that can be the baseline: those with answers or an endpoint, except the judge."""
        return [candidate.name for candidate in self.candidates if candidate.name != self.judge or candidate.answers]

    @property
    def compared(self) -> list[str]:
        """Who is compared with the baseline."""
        with_answers = {candidate.name for candidate in self.candidates if candidate.answers}
        names = [c.name for c in self.candidates if c.name in with_answers or c.name in self.answers]
        return [name for name in names if name != self.baseline]

    @property
    def by_category(self) -> list[dict[str, str]]:
        """Return categories with a published baseline of their own and that baseline, where it can take part."""
        categories = self.bench.categories if self.bench is not None else ()
        rule = general_rule(categories)
        if rule is None or rule.baseline != self.baseline:
            return []
        names = {candidate.name for candidate in self.candidates}
        own = {category: PUBLISHED[category].baseline for category in categories if category in PUBLISHED}
        return [
            {"category": category, "baseline": baseline}
            for category, baseline in own.items()
            if baseline != self.baseline and baseline in names
        ]

    def candidate(self, name: str) -> Candidate | None:
        return next((candidate for candidate in self.candidates if candidate.name == name), None)

    def in_use(self) -> list[Candidate]:
        """Return the candidates that need an entry in the config: the judge, then who answers."""
        names = dict.fromkeys((self.judge, *self.answers))
        return [found for name in names if (found := self.candidate(name)) is not None and found.is_served]

    def missing(self) -> list[tuple[str, str]]:
        """Return what is absent that a run needs, each with what to do."""
        found = [] if self.bench is not None else [("no bench in the data folder", "import one")]
        if not self.served:
            return [*found, ("no server found", "start one, or add its address")]
        if not self.baseline:
            found.append(("no model can be the baseline", "serve a second model, or import answers"))
        elif not self.compared:
            found.append(("no model to compare with the baseline", "serve one more, or import answers"))
        return found


def propose(benches: Sequence[FoundBench], servers: Iterable[FoundServer], wishes: Wishes | None = None) -> Setup:
    """Return the setup for the bench that was wished for, or the first, with the wishes that are possible.

    The judge is who judged the bench before, else who is named like one, else the largest that is served and has no
    answers. All other served models answer. The baseline is that of earlier judgments or of the published bench,
    else the first checkpoint with all answers.
    """
    wishes = wishes or Wishes()
    bench = next((bench for bench in benches if bench.name == wishes.bench), benches[0] if benches else None)
    candidates = find_candidates(bench, servers)
    served = [candidate.name for candidate in candidates if candidate.is_served]
    judge = wishes.judge if wishes.judge in served else _judge(bench, candidates)
    answering = [name for name in served if name != judge]
    if wishes.answers is not None:
        answering = [name for name in served if name in wishes.answers]
    setup = Setup(bench, candidates, tuple(answering), judge or "")
    baseline = wishes.baseline if wishes.baseline in setup.baselines else _baseline(setup)
    return msgspec.structs.replace(setup, baseline=baseline)


def find_candidates(bench: FoundBench | None, servers: Iterable[FoundServer]) -> tuple[Candidate, ...]:
    """Return every model that is served or has answers, in natural order.

    A model has the name of its answers on disk, else the last part of what its server calls it; models that would
    share a name keep what their servers call them. Names of one model at one server count once.
    """
    answers: Mapping[str, int] = bench.answers if bench is not None else {}
    addresses: dict[str, list[Address]] = {}
    for server in servers:
        behind: set[str] = set()
        for model in server.models:
            if model.root and model.parent is None:
                if model.root in behind:
                    continue
                behind.add(model.root)
            at = addresses.setdefault(model.id, [])
            if server.address not in at:
                at.append(server.address)
    short = [_last_part(name) for name in addresses]
    found: dict[str, Candidate] = {}
    for served_as, at in addresses.items():
        part = _last_part(served_as)
        name = served_as if served_as in answers or short.count(part) > 1 else part
        found[name] = Candidate(
            name, served_as, tuple(sorted(at, key=lambda address: address.url)), answers.get(name, 0)
        )
    for name, count in answers.items():
        found.setdefault(name, Candidate(name, answers=count))
    return tuple(sorted(found.values(), key=lambda candidate: natural_order(candidate.name)))


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts ckpt-900 before ckpt-1000."""
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part.casefold()) for part in re.split(r"(\d+)", name)]


def size_of(name: str) -> float:
    """Return the billions of parameters that a name states, 0 if it states none: `Mixtral-8x7B` has 56."""
    sizes = [float(size) * int(experts or 1) for experts, size in _SIZE.findall(name)]
    return max(sizes, default=0.0)


def _last_part(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2] or name


def _judge(bench: FoundBench | None, candidates: Iterable[Candidate]) -> str | None:
    served = [candidate for candidate in candidates if candidate.is_served]
    judged = bench.judged if bench is not None else {}

    def rank(candidate: Candidate) -> tuple[bool, bool, bool, float]:
        name = candidate.name
        return name in judged, bool(_JUDGE_WORDS.search(name)), not candidate.answers, size_of(name)

    return max(served, key=rank).name if served else None


def _baseline(setup: Setup) -> str:
    possible, bench = setup.baselines, setup.bench
    if bench is None or not possible:
        return ""
    on_disk = [name for name in possible if bench.is_complete(name)]
    before = [name for name in bench.baselines if name in possible]
    judged = {model for models in bench.judged.values() for model in models}
    unjudged = [name for name in on_disk if judged and name not in judged]
    usual = [name for name in _USUAL_BASELINES if name in on_disk]
    if (rule := general_rule(bench.categories)) is not None and rule.baseline in bench.baselines:
        before = [name for name in (rule.baseline,) if name in possible] or before
    named = [name for name in on_disk or possible if _BASE_WORDS.search(name)]
    answering = [name for name in possible if bench.answers.get(name) or name in setup.answers]
    chosen = (before, unjudged if len(unjudged) == 1 else [], usual, named, on_disk, answering)
    return next((names[0] for names in chosen if names), "")
