"""The real program in a real terminal: a user's walk from the first start on, and what a cut-off leaves."""

from __future__ import annotations

import re
from pathlib import Path

from arena_program import QUESTIONS, Open, all_whole, records, saved


def there(shown: str) -> int:
    """How many records the plan on the screen says are there already, of all models and stages."""
    return sum(int(number) for number in re.findall(rf"sim-\w+ +{QUESTIONS} +(\d+)", shown))


def test_from_nothing_to_reviewed_judgments_and_back_again(terminal: Open, tmp_path: Path):
    """The walk of a new user, who presses only what the screen tells: demo, leaderboard, a judgment, three votes."""
    window = terminal()
    window.wait_for("set-up of config.toml", "try it on simulated models")
    window.press("T")
    window.wait_for("[2 Leaderboard]", "sim-strong", "sim-tiny", "3 Judgments", "4 Review")
    window.press("3")
    window.wait_for("[3 Judgments]", "240 of 240 judgments", "Open")
    window.press("enter")
    window.wait_for("against sim-baseline", "1 of 240", "Question", "Next")
    window.press("right")
    window.wait_for("2 of 240")
    window.press("escape")
    window.wait_for("240 of 240 judgments")
    window.press("4")
    window.wait(lambda shown: re.search(r"\b0 of \d+ sampled", shown), "the sample")
    for number, key in enumerate(("a", "t", "B"), start=1):
        window.wait_for("Which answer is better?", "Question", "Part")
        window.press("tab")  # to the first answer, which a long question pushes off the screen
        hidden = window.wait_for("Answer A")
        assert not re.search(r"sim-(strong|careful|verbose|weak|tiny)", hidden)
        window.press(key)
        window.wait(lambda shown, n=number: re.search(rf"\b{n} of \d+ sampled", shown) and "you: " in shown, "the vote")
        if number < 3:
            window.press("enter")
    window.press("q")
    assert window.ended() == 0

    votes = list((tmp_path / "data/demo/review").iterdir())
    assert len(votes) == 1
    assert [line["label"] for line in records(votes[0])] == ["A>B", "A=B", "B>>A"]

    window = terminal()
    window.wait_for("set-up of config.toml", "open its results")
    window.press("T")
    window.wait_for("demo · ready", "[2 Leaderboard]", "sim-strong")
    window.press("4")
    window.wait(lambda shown: re.search(r"\b3 of \d+ sampled", shown), "the votes of before")
    window.wait_for("agreement with sim-judge is hidden")
    window.press("q")
    assert window.ended() == 0


def test_a_first_config_is_written_and_opened(terminal: Open, tmp_path: Path):
    window = terminal()
    window.wait_for("set-up of config.toml", "starter-ru", "Demo")
    window.press("W")
    window.wait_for("wrote config.toml")
    window.wait_for("Plan:")
    assert "[judge]" in (tmp_path / "config.toml").read_text()
    window.press("q")
    assert window.ended() == 0


def test_quitting_while_a_run_goes_on_asks_first_and_the_next_start_resumes(terminal: Open, slow_bench: Path):
    window = terminal()
    window.wait_for("Plan:")
    window.press("s")
    window.wait_for("Start now")
    window.press("enter")
    window.wait(lambda _: saved(slow_bench) >= 4, "some answers")
    window.press("q")
    window.wait_for("A run is in progress")
    window.press("escape")
    window.wait_for("in flight", absent="A run is in progress")
    window.press("q", "enter")
    assert window.ended() == 130
    assert b"finished results are saved" in window.written
    before = saved(slow_bench)
    assert before >= 4
    assert all_whole(slow_bench)

    window = terminal()
    shown = window.wait_for("Plan:", "sim-strong")
    assert there(shown) == before
    window.press("q")
    assert window.ended() == 0


def test_a_lost_connection_stops_the_run_with_everything_saved(terminal: Open, slow_bench: Path):
    window = terminal()
    window.wait_for("Plan:")
    window.press("s")
    window.wait_for("Start now")
    window.press("enter")
    window.wait(lambda _: saved(slow_bench) >= 4, "some answers")
    window.hang_up()
    assert window.ended() == 130
    before = saved(slow_bench)
    assert before >= 4
    assert all_whole(slow_bench)
    assert not list(slow_bench.rglob("*.torn"))
    assert not (slow_bench / "errors.jsonl").exists()
    window = terminal()
    shown = window.wait_for("Plan:", "sim-strong")
    assert there(shown) == before


def test_a_second_window_on_a_bench_follows_the_first_and_takes_over_after_it(terminal: Open, slow_bench: Path):
    first = terminal()
    first.wait_for("Plan:")
    first.press("s")
    first.wait_for("Start now")
    first.press("enter")
    first.wait(lambda _: saved(slow_bench) >= 2, "some answers")
    second = terminal()
    second.wait_for("READ-ONLY")
    counted = re.compile(rf"sim-baseline[^\d\n]+(\d+)/{QUESTIONS}")
    seen = int(counted.search(second.wait(counted.search, "a count"))[1])  # type: ignore[index]
    second.wait(lambda shown: int((counted.search(shown) or [0, 0])[1]) > seen, "a higher count")
    second.press("s")
    assert "Start now" not in second.text
    first.press("q")
    first.wait_for("A run is in progress")
    first.press("enter")
    assert first.ended() == 130
    second.wait_for("ready", absent="READ-ONLY")


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(terminal: Open):
    window = terminal("--demo", TERM="dumb")
    assert window.ended() == 0
    assert b"\x1b" not in window.written
    assert b"sim-strong" in window.written


def test_with_no_color_nothing_is_coloured(terminal: Open):
    window = terminal("--demo", NO_COLOR="1")
    window.wait_for("[2 Leaderboard]", "sim-tiny")
    window.press("4")
    window.wait_for("Which answer is better?")
    window.press("q")
    assert window.ended() == 0
    styles = {code for found in re.findall(rb"\x1b\[([0-9;]*)m", window.written) for code in found.split(b";")}
    assert styles <= {b"", b"0", b"1", b"2", b"3", b"4", b"7", b"9", b"39", b"49"}


def test_the_title_says_what_the_run_does_and_is_given_back(terminal: Open, slow_bench: Path):
    window = terminal()
    window.wait_for("Plan: ")
    window.press("s", "s")
    window.wait(lambda _: b"\x1b]0;small: answers" in window.written, "a title with the stage")
    window.press("S", "enter")
    window.wait_for("Stopped: ")
    window.wait(lambda _: window.written.count(b"\x07") > window.written.count(b"\x1b]0;"), "the bell")
    window.press("q")
    window.process.wait(60)
    kept, given_back = window.written.index(b"\x1b[22;0t"), window.written.rindex(b"\x1b[23;0t")
    assert kept < window.written.index(b"\x1b]0;") < given_back
    assert b"\x1b]0;" not in window.written[given_back:]
