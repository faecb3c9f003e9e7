"""What reading judgments costs: listing, filtering and searching 10,000 of them, and one key to the next.

    python benchmarks/viewer_cost.py [--keys 40]

Each figure that the project holds itself to has it beside it ("asked").

- library: in this process, a bench of 20 models x 500 questions (some 160 MB of judgments, in the page cache): the list
  from nothing, again when nothing has changed, after 500 more; filters; the first search and later ones.
- filter: the program itself in a pty of 120x40 on the same bench, from the key that closes the filter to the new count.
- keys: the program itself in a pty of 120x40 on answers of 20 kB each, from writing a key to the first text of the next
  judgment on the terminal: when neighbours had time to be made ready, and when the key is held down.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import random
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.bench import Bench
from engine.review.library import Library
from engine.review.listing import JudgmentFilter
from engine.review.listing import select as select_judgments

SIZE = (40, 120)  # lines, columns
NEXT = "\x1b[C"  # the right arrow
LISTED_ASKED, KEY_ASKED = 200, 60  # milliseconds
LABELS = ("A>>B", "A>B", "A=B", "B>A", "B>>A", None)
WORDS = [
    "море",
    "ветер",
    "answer",
    "because",
    "функция",
    "therefore",
    "простой",
    "list",
    "значение",
    "result",
    "потому",
    "step",
]
CONFIG = """
bench = "read"
[judge]
model = "judge"
baseline = "base"
[models.judge]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tell_library(Path(folder))
        tell_filter(Path(folder), options.keys // 4)
    with tempfile.TemporaryDirectory() as folder:
        tell_keys(Path(folder), options.keys)


def tell_library(folder: Path) -> None:
    bench = write_bench(folder, models=20, questions=500, answer_bytes=3500)
    size = sum(file.stat().st_size for file in bench.paths.judgments_dir.rglob("*.jsonl"))
    print(f"10,000 judgments, {size / 1e6:.0f} MB")
    Library(bench, "base").refresh()  # imports, and the page cache
    listing = timed("list, from nothing", lambda: Library(bench, "base").refresh(), 5)
    library = Library(bench, "base")
    library.refresh()
    timed("list, nothing new", library.refresh, 5)
    entries, marks = library.entries, library.marks
    for name, wanted in {
        "no filter": JudgmentFilter(),
        "one model": JudgmentFilter(models=frozenset({"model-7"})),
        "label and flips": JudgmentFilter(labels=frozenset({"A>B"}), flags=frozenset({"flip"})),
    }.items():
        filtering = timed(f"filter: {name}", lambda wanted=wanted: select_judgments(entries, wanted, marks), 5)
    wall, cpu = (one + other for one, other in zip(listing, filtering, strict=True))
    print(f"  {'listed and filtered':36}{wall:8.1f} ms   (CPU {cpu:.1f})   asked: under {LISTED_ASKED}")
    timed("search: reading all texts, once", library.texts.refresh, 1)
    for text in ("море", "therefore marker-0017", "nothing-has-this"):
        timed(
            f"search: {text}",
            lambda text=text: select_judgments(
                entries, JudgmentFilter(), marks, matches_text=library.texts.search(text).matches
            ),
            5,
        )
    timed("open one", lambda: library.open(random.choice(entries)), 50)


def tell_filter(folder: Path, times: int) -> None:
    took = []
    with Program(folder) as program:
        program.wait_for("Run]")
        program.press("3")
        program.wait_for("10,000 of 10,000 judgments")
        for _ in range(times):
            program.press("f")
            program.wait_for("Show only")
            program.press(" ")
            program.wait_for("[x]")
            took.append(program.time_key("q", " of 10,000 judgments"))
            program.press("x")
            program.wait_for("10,000 of 10,000 judgments")
    print(f"\nkey to the filtered list on the terminal, {times} times (ms)")
    print(f"  median {statistics.median(took):.0f}, longest {max(took):.0f}   asked: under {LISTED_ASKED}")


def tell_keys(folder: Path, keys: int) -> None:
    write_bench(folder, models=1, questions=200, answer_bytes=20_000)
    with Program(folder) as program:
        program.wait_for("Run]")
        program.press("3")
        program.wait_for("200 of 200 judgments")
        program.press("\r")
        program.wait_for("marker-0000")
        time.sleep(1.0)
        ready = [program.time_key(NEXT, f"marker-{number:04}") for number in range(1, keys + 1)]
        held = []
        for number in range(keys + 1, 2 * keys + 1):
            held.append(program.time_key(NEXT, f"marker-{number:04}", pause=0.0))
    print(f"\nkey to the next judgment, answers of 20 kB, {keys} keys each (ms)")
    for name, times in (("neighbours ready", ready), ("key after key", held)):
        ordered = sorted(times)
        print(
            f"{name:20}median {statistics.median(ordered):5.0f}   p95 {ordered[int(len(ordered) * 0.95) - 1]:5.0f}"
            f"   longest {ordered[-1]:5.0f}   asked: under {KEY_ASKED}"
        )


class Program:
    """`arena-tui` on a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Program:
        self._terminal, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        command = [sys.executable, "-m", "arena_tui", "-c", str(self._folder / "config.toml")]
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        }
        self._process = subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=inner, env=environment, cwd=self._folder, start_new_session=True
        )
        os.close(inner)
        self._seen = ""
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._drain(1.0)
        self._process.wait(60)
        os.close(self._terminal)

    def press(self, keys: str) -> None:
        self._seen = ""
        os.write(self._terminal, keys.encode())

    def wait_for(self, text: str, seconds: float = 120.0) -> None:
        until = time.monotonic() + seconds
        while text not in self._seen:
            if time.monotonic() > until:
                raise SystemExit(f"{text!r} never came up; the last of it: {self._seen[-500:]!r}")
            self._read(0.2)

    def time_key(self, key: str, text: str, pause: float = 0.4) -> float:
        """Milliseconds until `text` is on the terminal."""
        self._drain(pause)
        began = time.perf_counter()
        self.press(key)
        self.wait_for(text)
        return 1000 * (time.perf_counter() - began)

    def _drain(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._read(left)

    def _read(self, seconds: float) -> None:
        if select.select([self._terminal], [], [], seconds)[0]:
            try:
                self._seen += os.read(self._terminal, 1 << 16).decode("utf-8", "replace")
            except OSError:
                time.sleep(min(seconds, 0.05))


def timed(name: str, work: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Tell the median of `rounds` in milliseconds, in wall and in CPU time, and give both."""
    times, cpu = [], []
    for _ in range(rounds):
        began, cpu_began = time.perf_counter(), time.process_time()
        work()
        times.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - cpu_began))
    median = statistics.median(times)
    print(f"  {name:36}{median:8.1f} ms   (best {min(times):.1f}, CPU {statistics.median(cpu):.1f})")
    return median, statistics.median(cpu)


def write_bench(folder: Path, *, models: int, questions: int, answer_bytes: int) -> Bench:
    """A bench of made-up texts in which judgment N of the list shows `marker-N`."""
    (folder / "config.toml").write_text(CONFIG)
    root = folder / "data" / "read"
    write(
        root / "question.jsonl",
        ({"question_id": f"q{n}", "turns": [{"content": f"Why {n}?"}]} for n in range(questions)),
    )
    random.seed(1)
    base = [prose(answer_bytes) for _ in range(questions)]
    write(root / "model_answer/base.jsonl", (answer("base", n, base[n]) for n in range(questions)))
    for model in (f"model-{number}" for number in range(models)):
        ours = [f"marker-{n:04} {prose(answer_bytes)}" for n in range(questions)]
        write(root / f"model_answer/{model}.jsonl", (answer(model, n, ours[n]) for n in range(questions)))
        records = (judgment(model, n, base[n], ours[n]) for n in range(questions))
        write(root / f"model_judgment/judge/{model}.jsonl", records)
    return Bench.open(folder / "data", "read")


def judgment(model: str, number: int, base: str, ours: str) -> dict[str, Any]:
    said = "I compared both. " * 30
    games = [
        {"user_prompt": framed(number, first, second), "judgment": f"{said}[[A>B]]", "score": random.choice(LABELS)}
        for first, second in ((base, ours), (ours, base))
    ]
    return {"question_id": f"q{number}", "model": model, "judge": "judge", "games": games, "baseline": "base"}


def framed(number: int, first: str, second: str) -> str:
    sides = (
        f"<|The Start of Assistant {side}'s Answer|>\n{text}\n<|The End of Assistant {side}'s Answer|>"
        for side, text in (("A", first), ("B", second))
    )
    return f"<|User Prompt|>\nWhy {number}?\n\n" + "\n\n".join(sides)


def answer(model: str, number: int, text: str) -> dict[str, Any]:
    turns = [{"content": text, "token_len": len(text) // 4}]
    return {"question_id": f"q{number}", "model_id": model, "choices": [{"index": 0, "turns": turns}]}


def prose(size: int) -> str:
    """Markdown of about `size` bytes, half of it Cyrillic."""
    parts: list[str] = []
    left = size
    while left > 0:
        sentence = " ".join(random.choices(WORDS, k=12))
        part = random.choice(
            [f"{sentence}.\n", f"- **{sentence}**\n", f"## {sentence[:40]}\n", f"```\n{sentence}\n```\n"]
        )
        parts.append(part)
        left -= len(part.encode())
    return "".join(parts)


def write(path: Path, records: Iterator[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


if __name__ == "__main__":
    main()
