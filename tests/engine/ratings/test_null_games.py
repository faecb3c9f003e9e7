"""Games without a label: their pair stays by default, and is dropped as arena-hard v2 drops it on request."""

from __future__ import annotations

import json

import msgspec
import pytest

from engine import leaderboard, open_source
from engine.errors import GateRefused
from engine.ratings.estimate import RatingOptions
from engine.ratings.gate import GateOptions, gate
from engine.results import gate_result

PAIRS = [("B>A", "A>B"), ("A>B", "B>A"), ("B>>A", "A>B"), ("B>A", None), (None, "B>A"), ("B>A", "absent"), (None, None)]


@pytest.fixture
def bench(tmp_path):
    """A bench of 280 questions; of four pairs in seven a game has no label or was not played."""
    root = tmp_path / "b"
    (root / "model_judgment/j").mkdir(parents=True)
    records = []
    for number in range(280):
        games = [None if label == "absent" else {"score": label} for label in PAIRS[number % len(PAIRS)]]
        records.append({"uid": f"q{number}", "games": games, "judge": "j", "model": "m", "baseline": "base"})
    questions = [{"uid": each["uid"], "prompt": "?", "category": "c"} for each in records]
    for name, lines in (("question", questions), ("model_judgment/j/m", records)):
        (root / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def points(pairs) -> float:
    """The weighted win rate of the model over these pairs, by hand."""
    won = total = 0.0
    for pair in pairs:
        for game, label in enumerate(pair, start=1):
            if label in (None, "absent"):
                continue
            weight = 3 if len(label) == 4 else 1
            total += weight
            won += weight * (label.startswith("B") == (game == 1))
    return 100 * won / total


def test_one_null_game_drops_its_pair_only_on_request(bench):
    for null_games, pairs in (("keep", PAIRS), ("drop-pair", PAIRS[:3])):
        source = open_source(bench, baselines="base", null_games=null_games)
        row = next(row for row in leaderboard(source, rounds=10).rows if row.model == "m")
        assert row.score == pytest.approx(points(pairs), abs=1e-4)
    assert any(text.startswith("280 games left out with their pair") for text in map(str, source.judged.warnings))


def test_no_pair_without_a_null_is_dropped(bench):
    source = open_source(bench, baselines="base")
    whole = source.judged.battles.where(source.judged.battles.question % len(PAIRS) == 0).whole_pairs()
    assert whole.labelled.all()
    assert len(whole.whole_pairs()) == len(whole)
    assert not len(whole.where(whole.game > 2).whole_pairs())


def test_a_gate_refuses_a_stored_result_of_the_other_kind(bench):
    options = RatingOptions(baseline="base")
    kept, dropped = (
        gate_result(open_source(bench, baselines="base", null_games=each).judged, options)
        for each in ("keep", "drop-pair")
    )
    assert "null_games" not in msgspec.to_builtins(kept.evidence)
    with pytest.raises(GateRefused, match="another treatment of null games: keep in the stored result, drop-pair here"):
        gate(dropped, ["m"], "m", GateOptions(allow_missing=True), kept, lambda _old, _new: "")
