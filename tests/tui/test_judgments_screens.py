"""The list of judgments and one of them whole, by keyboard."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from judged_bench import QUESTIONS, answer, judgment, make_bench, opened, painted, settle, until, write
from textual.widgets import Input

from arena_tui.judgments.judgment_list import JudgmentList
from arena_tui.judgments.judgment_page import NARROW
from arena_tui.judgments.judgments_screen import JudgmentsScreen
from arena_tui.judgments.page import ReadingPane
from arena_tui.judgments.preview import PreviewPane
from arena_tui.judgments.viewer_screen import ViewerScreen
from engine.review.search import SearchTexts


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    return make_bench(tmp_path)


async def test_every_judgment_is_listed_with_its_verdicts(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, _):
        text = painted(app)
        assert "6 of 6 judgments" in text
        rows = [line for line in text.splitlines() if "-model" in line]
        assert [line.split()[0].strip("❯") or line.split()[1] for line in rows]
        flip = next(line for line in rows if "Напиши" in line and "good-model" in line)
        assert "B>A" in flip
        assert "= tie" in flip
        assert "flip" in flip
        unparsed = next(line for line in rows if "moon" in line and "good-model" in line)
        assert unparsed.count("none") == 2  # in place of the label, and as a mark


async def test_the_filter_shows_what_there_is_and_narrows_the_list(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("f")
        assert "flips: winner changes" in painted(app)
        await pilot.press("space")
        assert "1 judgment " in painted(app)
        await pilot.press("escape")
        assert "1 of 6 judgments" in painted(app)
        await pilot.press("x")
        assert "6 of 6 judgments" in painted(app)
        await pilot.press("o")
        assert "by question" in painted(app)


async def test_a_filter_is_found_by_typing(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("f", *"good")
        await settle(pilot)
        await pilot.press("space", "escape")
        await settle(pilot)
        assert "3 of 6 judgments" in painted(app)
        await pilot.press("f", "delete", "escape")
        await settle(pilot)
        assert "6 of 6 judgments" in painted(app)


async def test_a_filter_that_nothing_passes_says_how_to_get_out(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("f", "space", "down", "space", "escape")
        assert "x shows everything" in painted(app)
        await pilot.press("enter", "down", "end")
        assert isinstance(app.screen, JudgmentsScreen)


async def test_search_finds_what_stands_in_answers_and_judgments(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("slash")
        await pilot.press(*"nobody")
        await until(pilot, lambda: "3 of 6 judgments" in painted(app))
        await pilot.press("enter")
        assert isinstance(app.focused, JudgmentList)
        await pilot.press("slash")
        box = app.screen.query_one("#search", Input)
        box.value = ""
        await pilot.press("escape")
        await until(pilot, lambda: "6 of 6 judgments" in painted(app))
        assert not box.has_class("wanted")


async def test_hits_are_marked_in_the_list_and_in_the_text_and_escape_clears(bench: Path, tmp_path: Path):
    long = "\n\n".join(f"line {number}" for number in range(60)) + "\n\nAt last Walrus tusks, and walrus\nTUSKS again."
    write(bench / "model_answer/good-model.jsonl", answer("good-model", "q1", long))
    record = judgment("good-model", "q1")
    for game in record["games"]:
        game["user_prompt"] = "another template"
    write(bench / "model_judgment/the-judge/good-model.jsonl", record)
    async with opened(tmp_path, "judgments", (110, 34)) as (app, pilot):
        await pilot.press("slash", *"walrus tusks")
        await until(pilot, lambda: "1 of 6 judgments" in painted(app))
        assert "answer: …" in painted(app), "the text around the hit, which is not in the question"
        listing = app.screen
        marked = [
            part.text
            for y in range(1, 3)
            for part in app.screen.query_one(JudgmentList).render_line(y)
            if part.style and part.style.underline
        ]
        assert marked == ["walrus tusks"]
        await pilot.press("enter", "enter")
        pane = app.screen.query_one(ReadingPane)
        await until(pilot, lambda: pane.hits and "hit 1 of 2" in painted(app))
        assert "Walrus" in painted(app), "it goes to the first hit"
        await pilot.press("n")
        await until(pilot, lambda: "hit 2 of 2" in painted(app))
        await pilot.press("n", "N")
        await until(pilot, lambda: "hit 2 of 2" in painted(app))
        await pilot.press("slash", *"line 7")
        await until(pilot, lambda: '1 hit of "line 7"' in painted(app))  # not in line 17
        await pilot.press("enter")
        await until(pilot, lambda: "hit 1 of 1" in painted(app))
        await pilot.press("escape")
        assert isinstance(app.screen, ViewerScreen), "Escape clears what was typed here"
        assert len(pane.hits) == 2
        await pilot.press("escape")
        assert app.screen is listing
        assert "1 of 6 judgments" in painted(app)
        await pilot.press("escape")
        await until(pilot, lambda: "6 of 6 judgments" in painted(app))


async def test_the_text_beside_the_list_shows_its_hits(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments", (160, 40)) as (app, pilot):
        pane = app.screen.query_one(PreviewPane)
        await pilot.press("slash", *"final verdict", "enter")
        await until(pilot, lambda: len(pane.hits) == 2)  # a verdict of each game
        assert pane.hit == 0
        await pilot.press("n")
        assert pane.hit == 1
        await pilot.press("escape")
        await until(pilot, lambda: not pane.hits)


async def test_a_search_without_hits_in_a_text_says_so(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("n")
        assert app.screen.query_one("#find").has_class("open"), "without a search, it asks for words"
        await pilot.press(*"xyzzy", "enter")
        await until(pilot, lambda: any("no hits" in notice.message for notice in app._notifications))


async def test_reading_the_texts_for_a_search_is_shown_and_ended_by_escape(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        screen, left = app.screen, threading.Event()
        assert isinstance(screen, JudgmentsScreen)
        texts, ended = screen.library.texts, []

        class Slow(SearchTexts):
            def refresh(self, report=None):  # type: ignore[no-untyped-def]
                assert report is not None
                while report(1000, 5000):
                    left.wait(0.01)
                ended.append("ended")
                return False

        screen.library.texts = Slow(screen.session.bench)
        await pilot.press("slash")
        await until(pilot, lambda: "reading the texts: 1,000 of 5,000" in painted(app))
        await pilot.press("escape")
        await until(pilot, lambda: bool(ended))
        await until(pilot, lambda: "reading the texts" not in painted(app))
        screen.library.texts = texts


async def test_answers_in_another_language_are_looked_for_when_they_are_asked_for(bench: Path, tmp_path: Path):
    russian = "Море широко, ветер силён, и никто не слышит, о чём они говорят между собой до самого утра."
    english = "The sea is wide and the wind is strong, and nobody hears what they say to each other until morning."
    write(bench / "model_answer/good-model.jsonl", answer("good-model", "q2", russian))
    write(bench / "model_answer/bad-model.jsonl", answer("bad-model", "q2", english))
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("f", "down", "down", "down", "space", "escape")
        await until(pilot, lambda: "1 of 6 judgments" in painted(app))
        assert "bad-model" in painted(app)
        assert "lang" in painted(app)
        await settle(pilot)
        assert "checked" not in painted(app)
        await pilot.press("x")
        await settle(pilot)
        assert "6 of 6 judgments" in painted(app)
        assert "checked" not in painted(app)


async def test_judgments_that_come_while_one_looks_appear_in_the_list(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        record = judgment("good-model", "q1") | {"model": "new-model"}
        write(bench / "model_judgment/the-judge/new-model.jsonl", record)
        app.screen.look()  # type: ignore[attr-defined]  # what happens every two seconds
        await until(pilot, lambda: "7 of 7 judgments" in painted(app))


async def test_without_judgments_the_screen_says_what_to_do(tmp_path: Path):
    make_bench(tmp_path, judged=False)
    async with opened(tmp_path, "judgments") as (app, pilot):
        assert "no judgments yet" in painted(app)
        await pilot.press("enter", "f", "escape", "slash", "a", "escape", "x")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_one_judgment_shows_question_answers_and_both_games(bench: Path, tmp_path: Path, size: tuple[int, int]):
    async with opened(tmp_path, "judgments", size) as (app, pilot):
        await pilot.press("o", "home", "down", "enter")  # the first question, the good model
        await settle(pilot)
        assert isinstance(app.screen, ViewerScreen)
        everything = whole_page(app)
        for part in ("Why is the sky blue?", "answer of base", "A good answer", "```python", "[[B>>A]]", "[[A>B]]"):
            assert part in everything
        assert "game 1 A, 2 B" in everything
        assert "model much better" in everything
        assert "win" in painted(app)
        is_side_by_side = any("plain." in line and "## Well" in line for line in everything.splitlines())
        assert is_side_by_side == (size[0] >= NARROW)


async def test_the_next_and_the_previous_are_one_key_away_and_the_list_follows(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("o", "enter")
        await settle(pilot)
        shown = [app.screen.row.key]  # type: ignore[attr-defined]
        for key in ("right", "right", "right", "left"):
            await pilot.press(key)
            await settle(pilot)
            shown.append(app.screen.row.key)  # type: ignore[attr-defined]
            assert QUESTIONS[shown[-1][2]][1].splitlines()[0] in whole_page(app)
        assert len(set(shown)) == 4
        await pilot.press("escape")
        row = app.screen.query_one(JudgmentList).row
        assert row is not None
        assert row.key == shown[-1]


async def test_neighbours_are_ready_before_they_are_asked_for(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("enter")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, ViewerScreen)
        write(bench / "question.jsonl")  # reading would show if a page were made anew
        for file in (bench / "model_answer").iterdir():
            file.unlink()
        await pilot.press("right")
        assert "no answer on disk" not in whole_page(app)


async def test_the_prompt_the_reasoning_and_the_markdown_are_one_key_away(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("o", "down", "enter")
        await settle(pilot)
        assert "First I thought" not in whole_page(app)
        await pilot.press("r")
        await settle(pilot)
        assert "First I thought about q1" in whole_page(app)
        assert "**weight**" in whole_page(app)
        await pilot.press("m")
        await settle(pilot)
        assert "**weight**" not in whole_page(app)
        await pilot.press("i")
        await settle(pilot)
        assert "<|The Start of Assistant A's Answer|>" in whole_page(app)
        assert "System prompt of the judge" in whole_page(app)
        await pilot.press("escape")
        await settle(pilot)
        assert "<|The Start" not in whole_page(app)


async def test_a_part_is_copied_through_the_terminal_without_what_could_steer_it(bench: Path, tmp_path: Path):
    write(bench / "model_answer/bad-model.jsonl", answer("bad-model", "q1", "run\x1b[31m this\nand that"))
    record = judgment("bad-model", "q1") | {"inputs": None}
    for number, game in enumerate(record["games"]):
        theirs = "The answer of base"
        ours = "run\x1b[31m this\nand that"
        a, b = (theirs, ours) if number == 0 else (ours, theirs)
        game["user_prompt"] = (
            f"<|The Start of Assistant A's Answer|>\n{a}\n<|The End of Assistant A's Answer|>\n\n"
            f"<|The Start of Assistant B's Answer|>\n{b}\n<|The End of Assistant B's Answer|>"
        )
    write(bench / "model_judgment/the-judge/bad-model.jsonl", record)
    async with opened(tmp_path, "judgments") as (app, pilot):
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("y")
        assert "the answer of bad-model" in painted(app)
        await pilot.press("down", "down", "down", "enter")
        assert app.clipboard == "run�[31m this\nand that"
        await pilot.press("y", "down", "down", "down", "down", "enter")
        assert "[[A>>B]]" in app.clipboard
        assert isinstance(app.screen, ViewerScreen)


async def test_sections_are_jumped_to_and_their_heading_stays_on_top(bench: Path, tmp_path: Path):
    long = "\n".join(f"line {number}" for number in range(200))
    write(bench / "model_answer/good-model.jsonl", answer("good-model", "q1", long))
    record = judgment("good-model", "q1")
    for game in record["games"]:
        game["user_prompt"] = "another template"
    write(bench / "model_judgment/the-judge/good-model.jsonl", record)
    async with opened(tmp_path, "judgments", (80, 24)) as (app, pilot):
        await pilot.press("o", "down", "enter")
        await settle(pilot)
        pane = app.screen.query_one(ReadingPane)
        await pilot.press("tab", "tab", "pagedown", "pagedown")
        assert pane.render_line(0).text.startswith(" good-model")
        await pilot.press("tab")
        assert "Judge, game 1" in painted(app)
        await pilot.press("shift+tab", "shift+tab")
        assert pane.render_line(0).text.startswith(" base")
        await pilot.press("end")
        assert "verdict" in painted(app)
        await pilot.press("home", "m")
        await settle(pilot)
        assert pane.scroll_offset.y == 0


async def test_a_record_that_no_longer_exists_is_reported_in_its_place(bench: Path, tmp_path: Path):
    async with opened(tmp_path, "judgments") as (app, pilot):
        for file in (bench / "model_judgment/the-judge").iterdir():
            file.write_bytes(b"")
        await pilot.press("enter")
        await settle(pilot)
        assert "cannot be read" in painted(app)
        await pilot.press("escape")
        assert isinstance(app.screen, JudgmentsScreen)


HOSTILE = (
    "\x1b[2J\x1b[31mred\x1b]52;c;cm0gLXJm\x07 \x00 [bold]markup[/] [@click=app.quit]quit[/] \u202eright to left\u202c "
    "z\u200bero \x9b5A `half open\n```python\nno end " + "x" * 1_000_000
)


@pytest.mark.parametrize("key", ["m", "i", "t", "n"])
async def test_hostile_texts_everywhere_are_shown_harmlessly(tmp_path: Path, key: str):
    bench = make_bench(tmp_path)
    name = "[red]evil[/]\x1b[31m"
    write(
        bench / "question.jsonl", {"question_id": "q\x1b[1m", "category": HOSTILE[:99], "turns": [{"content": HOSTILE}]}
    )
    file = bench / "model_answer" / "%5Bred%5Devil.jsonl"
    write(file, answer(name, "q\x1b[1m", HOSTILE))
    write(bench / "model_answer/base.jsonl", answer("base", "q\x1b[1m", HOSTILE[::-1]))
    games = [{"user_prompt": HOSTILE, "judgment": HOSTILE, "score": HOSTILE[:80], "reasoning": HOSTILE}] * 2
    record = {"question_id": "q\x1b[1m", "model": name, "judge": HOSTILE[:50], "games": games, "baseline": "base"}
    write(bench / "model_judgment/the-judge/a[red]evil.jsonl", record)
    async with opened(tmp_path, "judgments", (100, 30)) as (app, pilot):
        assert not steers(painted(app))
        await pilot.press("home", "enter")
        await settle(pilot)
        for then in (key, "pagedown", "tab", "tab", "end"):
            await pilot.press(then)
            await settle(pilot)
            assert not steers(painted(app))
        assert "red" in whole_page(app)


def whole_page(app: object) -> str:
    """All rows of the page that is shown, also those that are scrolled away."""
    pane = app.screen.query_one(ReadingPane)  # type: ignore[attr-defined]
    from arena_tui.theme import inks

    return "\n".join(pane.page.row(y, inks(pane.app)).text for y in range(min(3000, pane.page.height)))


def steers(text: str) -> bool:
    directions = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return any((char < " " and char != "\n") or "\x7f" <= char <= "\x9f" or char in directions for char in text)
