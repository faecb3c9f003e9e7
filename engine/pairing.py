"""Which baseline the answers to a question are compared with: the same one for all, or by its category.

Arena-Hard v2.0 compares with another model in each of its categories. Every question still has one baseline there, so
its scores are win rates against that one: the games of different categories are rated together only under the name of
all baselines, `Pairing.anchor`, as if one opponent had answered each question with the answer of its baseline.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec


class Pairing(msgspec.Struct, frozen=True):
    """The baselines of questions by category.

    Attributes:
        baselines: of every question whose category is not in `rules`; of several, the first anchors the scores.
        rules: categories that are judged in a way of their own, each with its baseline, which may be the general one.
    """

    baselines: tuple[str, ...]
    rules: tuple[tuple[str, str], ...] = ()

    def of(self, category: str) -> tuple[str, ...]:
        """Return the baselines of the questions of a category."""
        own = dict(self.rules).get(category)
        return self.baselines if own is None else (own,)

    def on(self, categories: Collection[str]) -> Pairing:
        """Return what applies to questions of these categories alone."""
        rules = tuple(rule for rule in self.rules if rule[0] in categories)
        own = dict(rules)
        has_general = not rules or self.baselines[0] in own.values() or any(each not in own for each in categories)
        return Pairing(self.baselines if has_general else (rules[0][1],), rules)

    @property
    def first(self) -> Pairing:
        """Return the same with the first of several general baselines alone."""
        return Pairing(self.baselines[:1], self.rules)

    @property
    def names(self) -> tuple[str, ...]:
        """Every model that is a baseline of some question, the general one first."""
        return tuple(dict.fromkeys((*self.baselines, *(baseline for _, baseline in self.rules))))

    @property
    def is_split(self) -> bool:
        """Whether the baseline depends on the category."""
        return any(baseline != self.baselines[0] for _, baseline in self.rules)

    @property
    def anchor(self) -> str:
        """The name of what has score 50: the first baseline, or all of them where they depend on the category."""
        return " + ".join(self.names) if self.is_split else self.baselines[0]
