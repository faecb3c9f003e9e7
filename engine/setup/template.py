"""The text of a first config: the commented example of the program, filled in with a setup. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from engine.config.wording import quoted, quoted_key
from engine.setup.proposal import Candidate, Setup

_WIDTH = 110
_MODELS = re.compile(r"^\[models\..*?(?=^# A hosted model)", re.MULTILINE | re.DOTALL)
_OWN = re.compile(r"^# Whatever .*?\n(?=\n)", re.MULTILINE | re.DOTALL)  # on settings of one model
_LIMITS = re.compile(r"^\]\n(parallel = .*?\n)\n", re.MULTILINE | re.DOTALL)


def config_text(template: str, setup: Setup, data: str = "data") -> str:
    """Return the template with the bench, data folder, roles and servers of a setup, its comments kept.

    What the setup lacks stays as in the template. Raises ValueError for a template of another form.
    """
    text = template
    if setup.bench is not None:
        text = _filled(text, "bench", quoted(setup.bench.name))
    text = _filled(text, "data", quoted(data))
    models = setup.in_use()
    if not models:
        return text
    text = _filled(text, "models", _list(setup.answers), table="answers")
    text = _filled(text, "model", quoted(setup.judge), table="judge")
    text = _filled(text, "baseline", quoted(setup.baseline), table="judge")
    text = _with_categories(text, setup.by_category)
    limits, own = _LIMITS.search(template), _OWN.search(template)
    if limits is None or own is None or not _MODELS.search(text):
        raise ValueError("the template has no tables of models")
    tables = [_table(model, number == 0) for number, model in enumerate(models)]
    tables[0] += limits[1]
    tables[min(1, len(tables) - 1)] += own[0]
    return _MODELS.sub(_literally("\n".join(tables) + "\n"), text, count=1)


def _filled(text: str, key: str, value: str, table: str = "") -> str:
    """Replace the value of a key of a table (the top of the file by default); a comment behind it stays."""
    start = text.index(f"\n[{table}]\n") + 1 if table else 0
    line = re.compile(rf"^{key} = (?:\"[^\"]*\"|\[[^\]]*\])( *)", re.MULTILINE)
    found = line.search(text, start)
    if found is None:
        raise ValueError(f"the template has no {key} in [{table}]")
    given = f"{key} = {value}"
    blanks = " " * max(1, len(found[0]) - len(given)) if found[1] else ""
    return text[: found.start()] + given + blanks + text[found.end() :]


def _with_categories(text: str, rules: Iterable[Mapping[str, str]]) -> str:
    """Add the baselines of categories behind that of [judge]."""
    tables = [f"{{ {', '.join(f'{key} = {quoted(value)}' for key, value in rule.items())} }}" for rule in rules]
    if not tables:
        return text
    end = text.index("\n", text.index("\nbaseline = ", text.index("\n[judge]\n")) + 1) + 1
    return f"{text[:end]}{_over_lines('by_category', tables)}\n{text[end:]}"


def _table(model: Candidate, is_first: bool) -> str:
    lines = [f"[models.{quoted_key(model.name)}]"]
    comment = "   # what the server calls it. Left out, the name of the table."
    if model.served_as != model.name or is_first:
        lines.append(f"model = {quoted(model.served_as)}" + (comment if is_first else ""))
    endpoints = [
        f"{{ base_url = {quoted(address.url)}"
        + (f", api_key = {quoted(f'${{{address.key_variable}}}')}" if address.key_variable else "")
        + " }"
        for address in model.addresses
    ]
    lines.append(f"endpoints = [{endpoints[0]}]" if len(endpoints) == 1 else _over_lines("endpoints", endpoints))
    return "\n".join(lines) + "\n"


def _list(names: Iterable[str]) -> str:
    listed = [quoted(name) for name in names]
    line = f"[{', '.join(listed)}]"
    return line if len(line) <= _WIDTH else "[\n" + "".join(f"    {name},\n" for name in listed) + "]"


def _over_lines(key: str, values: Iterable[str]) -> str:
    return f"{key} = [\n" + "".join(f"    {value},\n" for value in values) + "]"


def _literally(text: str) -> Callable[[re.Match[str]], str]:
    return lambda match: text
