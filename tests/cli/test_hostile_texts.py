"""Whatever models, files and servers write, no sequence of theirs reaches the terminal, on any screen."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from arena_program import ARENA
from pty_terminal import Terminal

from engine.bench.layout import BenchPaths

# Each could do harm, and none is what Textual sends: clear, colour, clipboard, title, link, device strings, C1.
FOREIGN = (
    "\x1b[2J",
    "\x1b[38;5;199m",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x1b]0;owned\x07",
    "\x1b]8;;http://evil.example\x1b\\",
    "\x1bPtmux;\x1b\x1b]52;c;cm0gLXJm\x07\x1b\\",
    "\x1b_G=owned\x1b\\",
    "\x1bc",
    "\x9b31m",
    "\x9d0;owned\x9c",
    "\r",
    "\x08\x08\x08",
    "\x00",
    "\x0e",
)
HOSTILE = (
    "".join(f"{number} {sequence} " for number, sequence in enumerate(FOREIGN))
    + "[bold red]markup[/] [@click=app.quit]quit[/] [/] \u202eright to left\u2066 z\u200bero\u200d \u05d0\u05d1\u05d2 "
    + "e\u0301\u0302\u0303\u0304\u0305\u0306 \U000e0041 \ufeff `half open\n```python\nno end\n~~~\n<script>\n"
)
LONG = HOSTILE + "x" * 1_000_000 + "\n" + HOSTILE
NAME = "[red]evil[/]\x1b]0;owned\x07\u202e"

# All that the program itself may send: cursor, styles, modes, keyboard protocols, the pointer, titles, questions.
OWN = re.compile(
    r"\x1b\[\d+;\d+H|\x1b\[[\d;:]*m|\x1b\[\?\d+[hl]|\x1b\[\?\d+\$p|\x1b\[[<>=][\d;]*[a-z]|\x1b\[\d+[ABCDGJKXnt]|\x1b\[[HJK]|\x1b\[c"
    r"|\x1b\]22;[a-z-]*\x07|\x1b\[\d+ q|\x1b\[16t|\x1b\[6n"
    r"|\x1b\[2[23];\dt|\x1b\]0;(?!owned)[^\x00-\x1f\x7f-\x9f\u200b-\u202e]*\x07"  # titles
)


@pytest.fixture
def hostile_bench(tmp_path: Path) -> Path:
    """A bench whose every text and name is hostile, and a config that names it."""
    (tmp_path / "config.toml").write_text(
        'bench = "small"\n[judge]\nmodel = "the-judge"\nbaseline = "base"\n[models.the-judge]\n'
        'endpoints = [{ base_url = "http://127.0.0.1:9/v1" }]\n'
    )
    bench = tmp_path / "data" / "small"
    question = {"question_id": f"q{HOSTILE[:40]}", "category": HOSTILE[:90], "turns": [{"content": HOSTILE}]}
    key = question["question_id"]
    write(bench / "question.jsonl", question)
    paths = BenchPaths(bench)
    for name in ("base", NAME):
        choices = [{"index": 0, "turns": [{"content": LONG, "token_len": 7}]}]
        record = {"question_id": key, "model_id": name, "choices": choices, "reasoning": HOSTILE}
        write(paths.answers(name), record)
    games = [
        {"user_prompt": LONG, "judgment": LONG, "score": score, "reasoning": HOSTILE} for score in ("A>B", HOSTILE[:60])
    ]
    record = {"question_id": key, "model": NAME, "judge": "the-judge", "games": games, "baseline": "base"}
    write(paths.judgments("the-judge", NAME), record)
    label = {"question_id": key, "model": NAME, "judge": "the-judge", "baseline": "base", "game": 1, "label": "B>A"}
    write(bench / "review" / "anna.jsonl", {**label, "note": HOSTILE, "reviewer": "anna", "tstamp": 1.0})
    failure = {"question_id": key, "stage": "judgments", "model": NAME, "judge": "the-judge"}
    write(bench / "errors.jsonl", {**failure, "kind": "refused", "message": HOSTILE, "tstamp": 1.0})
    return bench


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str, **options: object) -> Terminal:
        opened.append(Terminal([*ARENA, *arguments], tmp_path, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def write(path: Path, record: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("size", [(80, 24), (130, 40)])
def test_no_foreign_sequence_leaves_any_screen(terminal, hostile_bench: Path, size: tuple[int, int]):
    window = terminal("review", "--reviewer", "anna", size=size)
    window.wait_for("1 of 1 sampled")
    window.press("left")
    window.wait_for("you: ", "note: ")
    window.press("m", "end", "?")
    window.wait_for("On this screen")
    window.press("q", "y")
    window.wait_for("the question", " chars")
    window.press("escape")
    window.wait_for("you: ", absent=" chars")
    window.press("3")
    window.wait_for("1 of 1 judgment ", "evil")
    window.press("f")
    window.wait_for("Show only")
    window.press("escape")
    window.wait_for("1 of 1 judgment ", absent="Show only")
    window.press("/")
    window.wait_for("words to find")
    window.press("x", "enter")
    window.wait_for("Open", '"x"')
    window.press("enter")
    window.wait_for("against base", "Question")
    window.press("tab", "tab", "tab", "r", "m", "end", "i")
    window.wait_for("System prompt of the judge")
    window.press("end", "i", "y")
    window.wait_for("the question", " chars")
    window.press("j", "j", "j", "enter")
    window.wait_for("too long")
    window.press("y")
    window.wait_for("the question", " chars")
    window.press("enter")
    window.wait_for("characters sent")
    for screen in ("2", "1"):
        window.press(screen)
        window.wait_for(f"[{screen} ")
    window.press("ctrl+p")
    window.wait_for("Search for commands")
    window.press("escape")
    window.wait_for("[1 ", absent="Search for commands")
    window.press("q")
    assert window.ended() == 0
    unknown = foreign(window.written)
    copied = [sequence for sequence in unknown if sequence.startswith("\x1b]52;c;")]
    assert len(copied) == 1  # what was asked for
    assert unknown == copied
    assert not any(sequence.encode() in window.written for sequence in FOREIGN if sequence != "\r")


def test_no_foreign_sequence_of_a_server_leaves_log_or_details(terminal, hostile_bench: Path, hostile_server: str):
    config = hostile_bench.parent.parent / "config.toml"
    config.write_text(
        'bench = "small"\n[answers]\nmodels = ["other"]\n[judge]\nmodel = "the-judge"\nbaseline = "base"\n'
        f'[models.other]\nendpoints = [{{ base_url = "{hostile_server}" }}]\n[models.the-judge]\n'
    )
    window = terminal()
    window.wait_for("Plan:")
    window.press("s")
    window.wait_for("Start now")
    window.press("enter")
    window.wait_for("HTTP 400", "run ended")
    window.press("tab", "tab", "j", "enter")
    window.wait_for("esc ", "owned")
    window.press("escape")
    window.wait_for("[1 Run]", "Start", absent="esc ")
    window.press("q")
    assert window.ended() == 1
    assert set(foreign(window.written)) <= {"\x07"}  # the program's own bell, where the run ends on time
    assert not any(sequence.encode() in window.written for sequence in FOREIGN if sequence != "\r")


@pytest.fixture
def hostile_server() -> Iterator[str]:
    """A server that refuses everything, in hostile words."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"error": {"message": HOSTILE, "type": HOSTILE[:30]}}).encode()
            self.send_response(400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    serving.join()
    server.server_close()


def foreign(written: bytes) -> list[str]:
    """Every escape sequence, control and direction mark that is none of the program's own."""
    rest = OWN.sub("", written.decode("utf-8", "surrogateescape"))
    sequences = re.findall(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]", rest)
    return sequences + re.findall(
        "[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f\ud800-\udfff]", rest
    )
