"""A leaderboard on paper: right in every format, readable at any width, harmless whatever the names."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import get_args

import msgspec
import pytest
from battle_builder import BattleBuilder
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.output.leaderboard import LEADERBOARD_FORMATS, LeaderboardFormat, format_leaderboard
from arena_tui.safe_text import one_line, shorten, text_width
from engine.ratings.estimate import BenchFacts, rate_battles
from engine.ratings.leaderboard import Leaderboard, LeaderboardOptions, Row, leaderboard
from engine.records import Question

BASELINE = "Phi-3-medium-128k-instruct"


def row(rank: int, model: str, score: float, lower: float, upper: float, tokens: int | None, games: int = 1000) -> Row:
    return Row(
        rank=rank,
        model=model,
        score=score,
        lower=lower,
        upper=upper,
        avg_tokens=tokens,
        questions=games // 2,
        games=games,
        unparsed=0,
        missing=0,
    )


def board(*rows: Row, **changes: object) -> Leaderboard:
    plain = Leaderboard(
        bench="arena-hard-ru",
        judges=["Llama-3-70B-Instruct-AH-AWQ"],
        baseline=BASELINE,
        ci="question",
        rounds=1000,
        seed=42,
        weight=3,
        rows=list(rows),
        warnings=["one caution"],
    )
    return msgspec.structs.replace(plain, **changes)


PUBLISHED = board(
    row(1, "Llama-3-Instruct-8B-SimPO", 83.0, 81.5, 84.4, 545),
    row(2, "suzume-llama-3-8B-multilingual-orpo-borda-half", 71.7, 70.0, 73.3, 978),
    row(3, BASELINE, 50.0, 50.0, 50.0, 801, games=0),
    row(4, "alpindale_gemma-2b-it", 8.8, 7.9, 9.7, None),
)

ORIGINAL_LINES = """\
Llama-3-Instruct-8B-SimPO                          | score: 83.0  | 95% CI:   (-1.5, 1.4)   | average #tokens: 545
suzume-llama-3-8B-multilingual-orpo-borda-half     | score: 71.7  | 95% CI:   (-1.7, 1.6)   | average #tokens: 978
Phi-3-medium-128k-instruct                         | score: 50.0  | 95% CI:   (0.0, 0.0)    | average #tokens: 801
alpindale_gemma-2b-it                              | score:  8.8  | 95% CI:   (-0.9, 0.9)   | average #tokens: 0
"""
ORIGINAL_ELO_LINE = """\
Llama-3-Instruct-8B-SimPO                          | score: 1285  | 95% CI:    (-18, 18)    | average #tokens: 545
"""


def played(**options: object) -> Leaderboard:
    """A small leaderboard from real games, with two categories."""
    builder = BattleBuilder()
    for number in range(12):
        for game in (1, 2):
            for model, modulus in (("often", 4), ("seldom", 3)):
                won = float(number % modulus > 0) if model == "often" else float(number % modulus == 0)
                builder.add(f"q{number}", "base", model, won, strong=float(number % 2), game=game, judge="judge")
    chosen = LeaderboardOptions(baseline="base", rounds=100, **options)  # type: ignore[arg-type]
    questions = tuple(Question(f"q{n}", ("?",), category="code" if n < 6 else "prose") for n in range(12))
    facts = BenchFacts(name="little", judges=("judge",), questions=questions)
    return leaderboard(rate_battles(builder.build(), chosen), chosen, facts)


def test_the_originals_lines_come_out_byte_for_byte() -> None:
    assert format_leaderboard(PUBLISHED, "arena-hard") == ORIGINAL_LINES


def test_the_originals_elo_lines_are_whole_numbers() -> None:
    with_elo = msgspec.structs.replace(PUBLISHED.rows[0], elo=1285.9, elo_lower=1267.8, elo_upper=1303.5)
    assert format_leaderboard(board(with_elo), "arena-hard") == ORIGINAL_ELO_LINE


def test_infinite_elo_is_said_in_every_format() -> None:
    won_all = msgspec.structs.replace(row(1, "sure", 100.0, 97.0, 100.0, 5), elo=None, elo_lower=1600.5, elo_upper=None)
    lost_all = msgspec.structs.replace(row(3, "lost", 0.0, 0.0, 3.0, 5), elo=None, elo_lower=None, elo_upper=400.4)
    base = msgspec.structs.replace(PUBLISHED.rows[2], elo=1000.0, elo_lower=1000.0, elo_upper=1000.0)
    result = board(won_all, base, lost_all)
    assert "[1600, inf]" in format_leaderboard(result, "table")
    assert "[-inf, 400]" in format_leaderboard(result, "table")
    assert json.loads(format_leaderboard(result, "json"))["rows"][0]["elo"] is None
    assert "score:  inf" in format_leaderboard(result, "arena-hard")
    assert "score: -inf" in format_leaderboard(result, "arena-hard")


def test_json_is_the_whole_result_with_its_warnings() -> None:
    decoded = json.loads(format_leaderboard(PUBLISHED, "json"))
    assert decoded["warnings"] == ["one caution"]
    assert decoded["rows"][3] == {
        **{"rank": 4, "model": "alpindale_gemma-2b-it", "score": 8.8, "lower": 7.9, "upper": 9.7},
        **{"avg_tokens": None, "questions": 500, "games": 1000, "unparsed": 0, "missing": 0},
    }
    assert "elo" not in decoded["rows"][0]
    assert "groups" not in decoded


def test_json_and_csv_say_the_same() -> None:
    result = played(full_stats=True, elo=True)
    rows = json.loads(format_leaderboard(result, "json"))["rows"]
    records = list(csv.DictReader(io.StringIO(format_leaderboard(result, "csv"))))
    assert [record["model"] for record in records] == [r["model"] for r in rows]
    for record, from_json in zip(records, rows, strict=True):
        assert float(record["score"]) == from_json["score"]
        assert float(record["elo_lower"]) == from_json["elo_lower"]
        assert record["wins"] == str(from_json.get("stats", {}).get("wins", ""))
        assert record["judge judge"] == str(from_json.get("stats", {}).get("judges", {}).get("judge", ""))


def test_the_table_shows_scores_to_two_decimals_with_their_interval() -> None:
    text = format_leaderboard(PUBLISHED, "table", width=120)
    first, _, head = text.splitlines()[:3]
    assert first == f"Against {BASELINE}: 2 better, 1 worse, 0 undecided"
    simpo = next(line for line in text.splitlines() if "SimPO" in line)
    assert "judge Llama-3-70B-Instruct-AH-AWQ" in head
    assert f"baseline {BASELINE}" in head
    assert "83.00  [81.50, 84.40]" in simpo
    assert "500 questions, 1000 games each" in text
    assert "one caution" not in text


def test_intervals_are_drawn_to_scale_around_the_mark_of_the_baseline() -> None:
    lines = format_leaderboard(PUBLISHED, "table", width=120).splitlines()
    simpo, suzume, base, gemma = (next(x for x in lines[3:] if name in x and "judge" not in x) for name in
                                  ("SimPO", "suzume", BASELINE, "gemma"))  # fmt: skip
    assert base.index("●") == simpo.index("┊") == gemma.index("┊")
    assert gemma.index("●") < base.index("●") < suzume.index("●") < simpo.index("●")
    assert "╺●" in suzume  # a point and a half wide: less than two columns


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_the_table_fits_the_terminal(width: int) -> None:
    lines = format_leaderboard(PUBLISHED, "table", width=width).splitlines()
    table = lines[lines.index("") + 1 :]
    assert max(map(text_width, table)) <= max(width, 55)  # narrower than that, names would say nothing
    assert all("[81.50, 84.40]" in line for line in table if "SimPO" in line)


def test_a_terminal_without_unicode_gets_plain_characters() -> None:
    text = format_leaderboard(board(*PUBLISHED.rows, bench="тест"), "table", width=80, ascii_only=True)
    assert text.isascii()
    drawn = format_leaderboard(PUBLISHED, "table", width=120, ascii_only=True)
    assert drawn.isascii()
    suzume = next(line for line in drawn.splitlines() if "suzume" in line)
    assert suzume.index(":") < suzume.index("|") < suzume.rindex("o") < suzume.rindex("|")


def test_unparsed_and_missing_are_shown_as_soon_as_there_are_any() -> None:
    assert "unparsed" not in format_leaderboard(PUBLISHED, "table")
    torn = msgspec.structs.replace(PUBLISHED.rows[0], unparsed=7, missing=3)
    for form in ("table", "markdown"):
        text = format_leaderboard(board(torn, PUBLISHED.rows[2]), form)  # type: ignore[arg-type]
        assert "unparsed" in text
        assert "missing" in text


def test_details_come_as_a_second_table() -> None:
    text = format_leaderboard(played(full_stats=True), "table", width=140)
    assert "strong +/-" in text
    assert text.count("seldom") == 2
    assert "base" not in text.split("strong +/-")[1]


@pytest.mark.parametrize("form", LEADERBOARD_FORMATS)
def test_groups_are_shown_in_every_format(form: LeaderboardFormat) -> None:
    text = format_leaderboard(played(by="category"), form)
    assert text.index("code") < text.index("prose")
    assert text.count("seldom") == 3 + (form == "json")  # its noise, too
    assert text.endswith("\n")


def test_markdown_is_a_table_that_names_cannot_break() -> None:
    text = format_leaderboard(board(row(1, "a|b*c*`d`<script>", 60.0, 55.0, 65.0, 5), PUBLISHED.rows[2]), "markdown")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert r"a\|b\*c\*\`d\`\<script\>" in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[free](https://evil.example)", r"\[free\](https\://evil.example)"),
        ("![](https://evil.example/p.png)", r"!\[\](https\://evil.example/p.png)"),
        ("https://evil.example", r"https\://evil.example"),
        ("WWW.evil.example", r"WWW\.evil.example"),
        ("<https://evil.example>", r"\<https\://evil.example\>"),
        ("me@evil.example", "me@\u200bevil.example"),
        ("@everyone", "@\u200beveryone"),
        ("org/repo#12 GH-12", "org/repo#\u200b12 GH-\u200b12"),
        ("$x^2$ and $$y$$", r"\$x^2\$ and \$\$y\$\$"),
        ("$`x`$", r"\$\`x\`\$"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
        ("~~gone~~ __b__", r"\~\~gone\~\~ \_\_b\_\_"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("plain-1.5B (v2)", "plain-1.5B (v2)"),
    ],
)
def test_markdown_links_embeds_and_notifies_nothing(name: str, shown: str) -> None:
    text = format_leaderboard(board(row(1, name, 60.0, 55.0, 65.0, 5), PUBLISHED.rows[2]), "markdown")
    assert f"| {shown} |" in text


COMMANDS = (
    "::stop-commands::x",
    "x ::error file=a,line=1::gone",
    "##[error]x",
    "##vso[task.setvariable]x",
    "##teamcity[a]",
)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("form", LEADERBOARD_FORMATS)
def test_no_name_is_a_command_to_the_log_of_a_ci_service(form: LeaderboardFormat, name: str) -> None:
    text = format_leaderboard(board(row(1, name, 60.0, 55.0, 65.0, 5), PUBLISHED.rows[2]), form)
    assert not re.search(r"^\s*::[a-z-]+.*::", text, re.MULTILINE)
    assert not re.search(r"##(vso|teamcity)?\[", text)
    if form == "json":
        assert json.loads(text)["rows"][0]["model"] == name


@pytest.mark.parametrize("name", ['=HYPERLINK("x")', "+1", "-1", "@x", "\t=1", "  =1"])
def test_a_spreadsheet_runs_no_formula_from_a_name(name: str) -> None:
    text = format_leaderboard(board(row(1, name, 60.0, 55.0, 65.0, 5)), "csv")
    model = next(csv.DictReader(io.StringIO(text)))["model"]
    assert model[0] in "'\ufffd"


HOSTILE = "x\x1b[2J\x1b]0;owned\x07\r\n\x9b31m\u202egnp\u2028\x00\ud800y"


@pytest.mark.parametrize("form", [form for form in LEADERBOARD_FORMATS if form != "json"])
def test_no_format_passes_terminal_controls_on(form: LeaderboardFormat) -> None:
    text = format_leaderboard(board(row(1, HOSTILE, 60.0, 55.0, 65.0, 5), PUBLISHED.rows[2]), form)
    assert "\x1b" not in text
    assert text == "".join(char for char in text if char == "\n" or one_line(char) == char or char == "\ufffd")
    assert sum("x\ufffd" in line for line in text.split("\n")) == 1


def test_json_keeps_such_a_name_but_as_escapes() -> None:
    name = HOSTILE.replace("\ud800", "")
    text = format_leaderboard(board(row(1, name, 60.0, 55.0, 65.0, 5)), "json")
    assert all(char == "\n" or one_line(char) == char for char in text)
    assert json.loads(text)["rows"][0]["model"] == name


@given(text=st.text(), columns=st.integers(1, 40))
def test_shortened_text_never_takes_more_columns_than_it_may(text: str, columns: int) -> None:
    safe = one_line(text)
    short = shorten(safe, columns)
    assert text_width(short) <= columns
    assert short == safe or "…" in short


def test_both_ends_of_a_long_name_stay() -> None:
    assert shorten("suzume-llama-3-8B-multilingual", 13) == "suzume…ingual"
    assert text_width("模型") == 4


def test_all_formats_of_the_command_are_known() -> None:
    assert set(get_args(LeaderboardFormat)) == {"table", "json", "csv", "markdown", "arena-hard"}
