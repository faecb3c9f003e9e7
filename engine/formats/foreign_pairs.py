"""Judgments of pairs by other programs, row by row: two sides, and the games in the order in which they were shown.

    AlpacaEval   annotations: {instruction, output_1, generator_1, output_2, generator_2, annotator, preference}
    MT-bench     pairs of FastChat: {question_id, model_1, model_2, g1_winner, g2_winner, judge, turn}; also
                 {question_id, model_a, model_b, winner_ab, winner_ba, judge_id, turn}
    LMArena      battles with conversations: {model_a, model_b, winner, conversation_a, conversation_b}; also
                 {prompt, response_a, response_b, winner_model_a, winner_model_b, winner_tie}
    JudgeBench   {pair_id, question, response_A, response_B, response_model, label}, with or without `judgments`

A tie by both being bad is a tie. An error, or no winner, is a game without a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from engine.bench.shapes import UnknownShape, content_text, messages_of, unquoted
from engine.judging.probabilities import Probabilities, normalised, read_probabilities
from engine.judging.spelling import normalise_label
from engine.labels import LABELS, Label

PairFormat: TypeAlias = Literal["AlpacaEval", "MT-bench", "LMArena", "JudgeBench"]
PEOPLE = "people"  # the judge of LMArena's battles
GOLD = "judgebench"  # the reviewer of JudgeBench's labels
_TIES = {"tie", "tie (bothbad)", "both_bad", "bothbad", "tie(bothbad)", "c"}
Turns: TypeAlias = tuple[str, ...]


class Side(NamedTuple):
    """A model, and its answer where the row holds it."""

    model: str
    said: Turns = ()


class Shown(NamedTuple):
    """One game: the label in the order in which the answers were shown, and what the judge wrote.

    `is_swapped`: the second side was shown first. `number` is given only by this program's own files.
    """

    label: Label | None
    is_swapped: bool = False
    text: str = ""
    probabilities: Probabilities | None = None
    number: int | None = None


class ForeignPair(NamedTuple):
    """A comparison: the sides, the judge, the games; `asked` is the question where the row holds it.

    `key` is the id of the question, "" where it is known by its text. `turn` is that of MT-bench. Of gold labels
    `judge` is None and `reviewer` names who gave them.
    """

    key: str
    asked: Turns
    category: str
    sides: tuple[Side, Side]
    judge: str | None
    games: tuple[Shown, ...]
    turn: int = 1
    reviewer: str = ""


def pair_format(row: Mapping[str, Any]) -> PairFormat | None:
    """Return which program a row is of, None if it compares nothing."""
    keys = row.keys()
    if keys >= {"instruction", "output_1", "output_2", "preference"}:
        return "AlpacaEval"
    if keys >= {"question_id", "model_1", "model_2", "g1_winner"} or keys >= {"model_a", "model_b", "winner_ab"}:
        return "MT-bench"
    if keys >= {"response_A", "response_B", "question"}:
        return "JudgeBench"
    is_battle = keys >= {"model_a", "model_b"} and bool(keys & {"winner", "winner_model_a"})
    return "LMArena" if is_battle and (keys & {"conversation_a", "response_a"}) else None


def read_pairs(form: PairFormat, row: Mapping[str, Any]) -> Iterator[ForeignPair]:
    """Yield the comparisons of a row. Raises UnknownShape, ValueError or KeyError for one that lacks something."""
    yield from _READERS[form](row)


def battle_winner(row: Mapping[str, Any]) -> str | None:
    """Return the winner of a battle as LMArena's files name it, also where it stands in three columns."""
    if "winner" in row:
        return str(row["winner"])
    for column, name in (("winner_model_a", "model_a"), ("winner_model_b", "model_b"), ("winner_tie", "tie")):
        if str(row.get(column)).strip() in ("1", "1.0", "True", "true"):
            return name
    return None


def _alpaca_eval(row: Mapping[str, Any]) -> Iterator[ForeignPair]:
    first = Side(str(row.get("generator_1") or "reference"), _texts(row["output_1"], "output_1"))
    second = Side(str(row.get("generator_2") or "model"), _texts(row["output_2"], "output_2"))
    label, chances = _preference(row["preference"])
    number = row.get("game") if row.get("game") in (1, 2) else None
    if number is not None and row.get("label") in LABELS:  # this program's own: exact
        label, chances = row["label"], read_probabilities(row.get("probabilities"))
    shown = Shown(label, number == 2, str(row.get("raw_completion") or ""), chances, number)
    asked = _texts(row["instruction"], "instruction")
    yield ForeignPair("", asked, "", (first, second), _judge(row.get("annotator")), (shown,))


def _preference(value: Any) -> tuple[Label | None, Probabilities | None]:
    """Return the label of a preference from 1 (the first output) to 2 (the second), and its probabilities if soft."""
    if value is None:
        return None, None
    number = float(value)
    if number == 0:
        return "A=B", None
    if not 1 <= number <= 2:
        raise ValueError(f"the preference {value!r} is not between 1 and 2")
    chance = number - 1
    label: Label = "A=B" if chance == 0.5 else "B>A" if chance > 0.5 else "A>B"
    is_soft = chance not in (0.0, 0.5, 1.0)
    return label, normalised({"A>B": 1 - chance, "B>A": chance}) if is_soft else None


def _mt_bench(row: Mapping[str, Any]) -> Iterator[ForeignPair]:
    key, turn, category = str(row["question_id"]), int(row.get("turn") or 1), str(row.get("category") or "")
    if "winner_ab" in row:
        sides = Side(str(row["model_a"])), Side(str(row["model_b"]))
        games = (
            Shown(_of_place(row["winner_ab"]), text=str(row.get("judgment_ab") or "")),
            Shown(_of_place(row["winner_ba"]), True, str(row.get("judgment_ba") or "")),
        )
        yield ForeignPair(key, (), category, sides, _judge(row.get("judge_id") or row.get("judge")), games, turn)
        return
    sides = Side(str(row["model_2"])), Side(str(row["model_1"]))  # FastChat's baseline is its second model
    first = Shown(_of_name(row["g1_winner"], "model_1", "model_2"), True, str(row.get("g1_judgment") or ""))
    played = [first]
    if row.get("g2_winner") is not None:  # a name too, not a place
        swapped = _of_name(row["g2_winner"], "model_2", "model_1")
        played.append(Shown(swapped, text=str(row.get("g2_judgment") or "")))
    yield ForeignPair(key, (), category, sides, _judge(row.get("judge")), tuple(played), turn)


def _lmarena(row: Mapping[str, Any]) -> Iterator[ForeignPair]:
    winner = battle_winner(row)
    if "conversation_a" in row:
        asked, first = _conversation(row["conversation_a"], "conversation_a")
        _, second = _conversation(row["conversation_b"], "conversation_b")
    else:
        asked = _texts(row["prompt"], "prompt")
        first, second = _texts(row["response_a"], "response_a"), _texts(row["response_b"], "response_b")
    sides = Side(str(row["model_a"]), first), Side(str(row["model_b"]), second)
    key = next((str(row[name]) for name in ("question_id", "id") if row.get(name) not in (None, "")), "")
    category = row.get("language") if isinstance(row.get("language"), str) else ""
    yield ForeignPair(key, asked, category or "", sides, PEOPLE, (Shown(_of_name(winner, "model_a", "model_b")),))


def _judge_bench(row: Mapping[str, Any]) -> Iterator[ForeignPair]:
    key, asked = str(row.get("pair_id") or row.get("original_id") or ""), _texts(row["question"], "question")
    model = str(row.get("response_model") or "response")
    sides = (
        Side(f"{model}-A", _texts(row["response_A"], "response_A")),
        Side(f"{model}-B", _texts(row["response_B"], "response_B")),
    )
    category = str(row.get("source") or "")
    gold = normalise_label(str(row.get("label") or ""))
    if gold is not None:
        yield ForeignPair(key, asked, category, sides, None, (Shown(gold),), reviewer=GOLD)
    judged = [each for each in row.get("judgments") or () if isinstance(each, Mapping)]
    games, judge = [], ""
    for number, each in enumerate(judged[:2]):
        inner = each.get("judgment")
        written = inner if isinstance(inner, Mapping) else {}
        judge = judge or str(written.get("judge_model") or each.get("judge_model") or row.get("judge_model") or "")
        text = content_text(written.get("response"), "`response`") if written.get("response") else ""
        games.append(Shown(normalise_label(str(each.get("decision") or "")), number == 1, text or ""))
    if games:
        yield ForeignPair(key, asked, category, sides, judge or "judge", tuple(games))


_READERS: dict[PairFormat, Callable[[Mapping[str, Any]], Iterator[ForeignPair]]] = {
    "AlpacaEval": _alpaca_eval,
    "MT-bench": _mt_bench,
    "LMArena": _lmarena,
    "JudgeBench": _judge_bench,
}


def _of_place(winner: Any) -> Label | None:
    """Return the label where the winner is named by its place."""
    found: Mapping[str, Label] = {"a": "A>B", "b": "B>A"}
    return _of(winner, found)


def _of_name(winner: Any, first: str, second: str) -> Label | None:
    """Return the label where the winner is named, and `first` was shown first."""
    found: Mapping[str, Label] = {first: "A>B", second: "B>A"}
    return _of(winner, found)


def _of(winner: Any, found: Mapping[str, Label]) -> Label | None:
    name = str(winner).strip().casefold()
    return "A=B" if name in _TIES else found.get(name)


def _judge(value: Any) -> str:
    """Return the name of a judge, which FastChat keeps beside that of its prompt."""
    if isinstance(value, str):
        value = unquoted(value)
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        value = value[0]
    return str(value) if value else "judge"


def _texts(value: Any, name: str) -> Turns:
    """Return a text, or several turns that a table keeps as a list."""
    if isinstance(value, str):
        value = unquoted(value)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return tuple(value)
    text = content_text(value, f"`{name}`")
    if text is None:
        raise UnknownShape(f"`{name}` has no text")
    return (text,)


def _conversation(value: Any, name: str) -> tuple[Turns, Turns]:
    """Return what the user asked and what the model said, turn by turn."""
    asked, said = [], []
    for role, text in messages_of(value, name):
        if role == "user":
            asked.append(text)
        elif role == "assistant":
            said.append(text)
    if not asked or not said:
        raise UnknownShape(f"`{name}` has no question or no answer in it")
    return tuple(asked), tuple(said)


def as_game(shown: Shown, is_swapped: bool) -> tuple[int, Label | None, Probabilities | None]:
    """Return number, label and probabilities of a game of the bench, in which the baseline is first in game 1.

    `is_swapped`: the baseline is the second side of the row.
    """
    if shown.number is not None:
        return shown.number, shown.label, shown.probabilities
    return (2 if shown.is_swapped is not is_swapped else 1), shown.label, shown.probabilities
