"""Lengths of answers that several tokenizers counted: comparable in token columns, style control and exports."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from engine.bench import Bench
from engine.formats.export import export_bench
from engine.formats.importing import import_bench
from engine.formats.selection import ExportChoice
from engine.ratings.leaderboard import LeaderboardOptions
from engine.results import judged_bench, rate, read_style
from engine.token_lengths import by_one_counter

KEYS = [f"q{number}" for number in range(12)]
TEXT = "word " * 20
TOKENS = {"base": 20, "server": 40, "second": 30}  # of the same text, by three tokenizers


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    """Three models that gave the same answers, each counted by another tokenizer; the table of none is there."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "data" / "b"
    write(root / "question.jsonl", [{"question_id": key, "turns": [{"content": f"{key}?"}]} for key in KEYS])
    for model, tokens in TOKENS.items():
        turns = [{"content": TEXT, "token_len": tokens}]
        said = [{"role": "assistant", "content": {"answer": TEXT}}]
        of_2 = {"messages": said, "metadata": {"token_len": tokens}}
        of_1 = {"choices": [{"turns": turns}]} | ({"token_counter": "server"} if model == "server" else {})
        write(
            root / f"model_answer/{model}.jsonl",
            [{"uid": key, **of_2} if model == "second" else {"question_id": key, **of_1} for key in KEYS],
        )
        if model != "base":
            games = [{"score": "A>B"}, {"score": "A>B"}]
            records = [{"question_id": key, "baseline": "base", "games": games} for key in KEYS]
            write(root / f"model_judgment/j/{model}.jsonl", records)
    return Bench(root)


def write(path, records) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def lengths(bench: Bench) -> tuple[set[int | None], list[str]]:
    board, _ = rate(judged_bench(bench, ["j"], "base"), LeaderboardOptions(baseline="base", rounds=5))
    return {row.avg_tokens for row in board.rows}, [each for each in board.warnings if "in several ways" in each]


def test_token_columns_are_scaled_to_one_counter_and_the_mixture_is_named(bench):
    shown, (warning,) = lengths(bench)
    assert shown == {20}
    assert "12 by cl100k_base" in warning
    assert "12 by server" in warning
    assert "12 by arena-hard-v2" in warning


def test_style_control_sees_comparable_lengths(bench):
    style, (warning,) = read_style(bench, list(TOKENS))
    assert np.unique(style.counts[..., 0]).tolist() == [20.0]
    assert "in several ways" in warning


@pytest.mark.parametrize("form", ["arena-hard-v0.1", "arena-hard-v2", "csv"])
def test_exports_hold_comparable_lengths_and_name_their_counter(bench, tmp_path, form):
    report = export_bench(bench, ExportChoice(baseline="base"), form, tmp_path / "out")
    assert sum("in several ways" in note for note in report.notes) == 1
    if form == "csv":
        lines = (tmp_path / "out").read_text().splitlines()
        assert all(",20,20," in line for line in lines[1:] if line.startswith('"b"'))
        return
    import_bench(tmp_path / "out", tmp_path / "back", "b")
    back = Bench.open(tmp_path / "back", "b")
    assert lengths(back) == ({20}, [])
    assert {answer.token_counter for answer in back.answers("server").items.values()} == {"cl100k_base"}


def test_one_counter_changes_nothing():
    found = by_one_counter([3, None, 5], ["server", None, "server"], [9, 9, 9], lambda _at: [])
    assert found == ([3, None, 5], "", "")


def test_lengths_are_counted_anew_where_the_table_is_in_the_cache(tmp_path, monkeypatch):
    pytest.importorskip("tiktoken")
    tiktoken_load = pytest.importorskip("tiktoken.load")
    table = b"".join(
        tiktoken_load.base64.b64encode(bytes([byte])) + b" " + str(byte).encode() + b"\n" for byte in range(256)
    )
    url = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
    (tmp_path / hashlib.sha1(url.encode()).hexdigest()).write_bytes(table)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    found = by_one_counter([3, 5], ["server", "cl100k_base"], [9, 9], lambda _at: ["abcd"])
    assert found[0][1] == 5
    assert found[1] == "cl100k_base"
