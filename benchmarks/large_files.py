"""What it takes to read a bench whose files are gigabytes: memory and time of whole commands.

    python benchmarks/large_files.py                    1 GiB of answers and 1 GiB of judgments, 500 questions
    python benchmarks/large_files.py --gib 0.1          a quick look
    python benchmarks/large_files.py --questions 20000  hardly any record is superseded by a later one

The judgments are as other programs write them: with the whole prompts, and nothing but these tells whether a judgment
is of today's texts. The files are made in a temporary folder (--folder) and deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CONFIG = """
bench = "large"
[judge]
model = "judge"
baseline = "base"
[models.judge]
endpoints = [{ base_url = "http://127.0.0.1:9/v1" }]
"""
COMMANDS = (
    ("leaderboard", "--format", "csv", "--rounds", "100"),
    ("run", "--dry-run"),
    ("doctor", "--repair", "--dry-run"),
    ("export", "--to", "arena-hard-v2", "--force"),
)
PROMPT = (
    "<|User Prompt|>\n{0}\n\n<|The Start of Assistant A's Answer|>\n{1}\n<|The End of Assistant A's Answer|>\n\n"
    "<|The Start of Assistant B's Answer|>\n{2}\n<|The End of Assistant B's Answer|>"
)
ANSWER_CHARACTERS = 2000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--gib", type=float, default=1.0, help="of each of the two files")
    arguments.add_argument("--questions", type=int, default=500)
    arguments.add_argument("--folder", type=Path, help="where to make the files")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="arena-tui-large-") as name:
        home = Path(name)
        size = make_bench(home, int(options.gib * 2**30), options.questions)
        print(f"{size / 2**30:.2f} GiB in two files, {options.questions} questions")
        print(f"{'peak MiB':>10}  {'seconds':>8}  command")
        for command in ((("--version",)), *COMMANDS):
            peak, seconds = measured(command, home)
            print(f"{peak:10.0f}  {seconds:8.1f}  arena-tui {' '.join(command)}", flush=True)


def make_bench(home: Path, size: int, questions: int) -> int:
    """Write config and bench; returns the bytes of its two large files."""
    (home / "config.toml").write_text(CONFIG)
    bench = home / "data" / "large"
    asked = [f"question {number}: why?" for number in range(questions)]
    rows = ({"question_id": f"q{n}", "turns": [{"content": text}]} for n, text in enumerate(asked))
    write(bench / "question.jsonl", (json.dumps(row).encode() for row in rows))
    write(bench / "model_answer" / "base.jsonl", (answer("base", n) for n in range(questions)))
    large = bench / "model_answer" / "m.jsonl", bench / "model_judgment" / "judge" / "m.jsonl"
    write(large[0], until(size, (answer("m", n % questions) for n in forever())))
    write(large[1], until(size, (judgment(asked[n % questions], n % questions) for n in forever())))
    return sum(path.stat().st_size for path in large)


def text(model: str, number: int) -> str:
    return (f"answer of {model} to {number}. " * (ANSWER_CHARACTERS // 20))[:ANSWER_CHARACTERS]


def answer(model: str, number: int) -> bytes:
    turns = [{"content": text(model, number), "token_len": 400}]
    record = {
        "question_id": f"q{number}",
        "answer_id": "a",
        "model_id": model,
        "choices": [{"index": 0, "turns": turns}],
    }
    return json.dumps(record).encode()


def judgment(asked: str, number: int) -> bytes:
    base, ours = text("base", number), text("m", number)
    games = [
        {"user_prompt": PROMPT.format(asked, *answers), "judgment": f"[[{label}]]", "score": label}
        for answers, label in (((base, ours), "B>A"), ((ours, base), "A>>B"))
    ]
    return json.dumps({"question_id": f"q{number}", "model": "m", "judge": "judge", "games": games}).encode()


def forever() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def until(size: int, lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines until there are `size` bytes of them."""
    for line in lines:
        yield line
        size -= len(line) + 1
        if size <= 0:
            return


def write(path: Path, lines: Iterator[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.writelines(line + b"\n" for line in lines)


def measured(command: tuple[str, ...], home: Path) -> tuple[float, float]:
    """Peak memory (MiB) and seconds of a command, which must succeed."""
    start = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "arena_tui", *command], cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(said.decode())
    return usage.ru_maxrss / 1024, time.monotonic() - start


if __name__ == "__main__":
    main()
