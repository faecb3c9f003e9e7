"""How arena-hard-auto judges each category of questions, which its code says and its configs do not.

The facts are those of `JUDGE_SETTINGS` in its `utils/judge_utils.py`; the prompts are ours that follow the same rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from engine.bench.stored import load_questions
from engine.errors import BenchError
from engine.pairing import Pairing


class CategoryRule(NamedTuple):
    """Baseline and prompt of a category."""

    baseline: str
    prompt: str


_TECHNICAL = CategoryRule("o3-mini-2025-01-31", "full")
PUBLISHED = {
    "arena-hard-v0.1": CategoryRule("gpt-4-0314", "full"),
    "hard_prompt": _TECHNICAL,
    "coding": _TECHNICAL,
    "math": _TECHNICAL,
    "creative_writing": CategoryRule("gemini-2.0-flash-001", "creative"),
}
_OF_BENCH = {"arena-hard-v0.1": ("arena-hard-v0.1",), "arena-hard-v2.0": ("hard_prompt", "creative_writing")}


def categories_of(source: Path, bench: str) -> Collection[str]:
    """Return the categories of the questions beside a config in `source` (its folder, or a file in it).

    Without a question set they are those that a bench of this name is known to have.
    """
    folder = source if source.is_dir() else source.parent
    for root in (folder, folder.parent):
        file = root / "data" / bench / "question.jsonl"
        if bench and file.is_file():
            try:
                return {question.category for question in load_questions(file).items}
            except BenchError:  # the import of the bench itself reports it
                break
    return _OF_BENCH.get(bench, ())


def general_rule(categories: Iterable[str]) -> CategoryRule | None:
    """Return the rule for all categories but those of `category_tables`; None if none of them is known."""
    rules = {PUBLISHED[category] for category in categories if category in PUBLISHED}
    return _TECHNICAL if _TECHNICAL in rules else min(rules, default=None)


def unlike_published(categories: Collection[str], pairing: Pairing) -> Iterator[str]:
    """Yield what to add to a config that has the published baseline of some of the categories for others, too."""
    published = {PUBLISHED[category].baseline for category in categories if category in PUBLISHED}
    if pairing.baselines[0] not in published:
        return
    for category in sorted(categories):
        rule = PUBLISHED.get(category)
        if rule is not None and rule.baseline not in pairing.of(category):
            yield (
                f"{category}: arena-hard-auto compares it with {rule.baseline}, by a prompt of its own; add "
                f'[[judge.by_category]] with category = "{category}", baseline = "{rule.baseline}", '
                f'prompt = "{rule.prompt}" for published results'
            )


def category_tables(categories: Iterable[str], general: CategoryRule) -> list[dict[str, Any]]:
    """Return the `[[judge.by_category]]` tables of the categories that are judged in another way than `general`."""
    found: dict[CategoryRule, list[str]] = {}
    for category in sorted(categories):
        rule = PUBLISHED.get(category, general)
        if rule != general:
            found.setdefault(rule, []).append(category)
    return [
        {"category": names[0] if len(names) == 1 else names, "baseline": rule.baseline, "prompt": rule.prompt}
        for rule, names in found.items()
    ]
