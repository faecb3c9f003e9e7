"""Large files are read block by block: what memory they take depends on what is current in them, not on their size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import resource, sys
from pathlib import Path
from engine.bench.stored import load_answers
from engine.bench.stored import load_judgments
from engine.bench.repair import examine_bench
from engine.bench.layout import BenchPaths
paths = BenchPaths(Path(sys.argv[1]))
read = {
    "answers": lambda: load_answers(paths.answers("m")).items,
    "judgments": lambda: load_judgments(paths.judgments("j", "m")).items,
    "repair": lambda: examine_bench(paths),
}[sys.argv[2]]()
print(len(read), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
QUESTIONS, TEXT = 50, "x" * 8000
ANSWER = '{{"question_id":"q{0}","choices":[{{"turns":[{{"content":"{1}","token_len":7}}]}}]}}\n'
JUDGMENT = (
    '{{"question_id":"q{0}","games":[{{"user_prompt":"{1}","score":"A>B"}},{{"user_prompt":"{1}","score":"B>A"}}]}}\n'
)
SMALL, LARGE = 32, 128  # MiB


def make(root: Path, size: int) -> Path:
    for place, line in (("model_answer/m.jsonl", ANSWER), ("model_judgment/j/m.jsonl", JUDGMENT)):
        path = root / place
        path.parent.mkdir(parents=True)
        block = "".join(line.format(number, TEXT) for number in range(QUESTIONS)).encode()
        with path.open("wb") as stream:
            for _ in range(size * 2**20 // len(block)):
                stream.write(block)
    return root


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [make(tmp_path_factory.mktemp("bench"), size) for size in (SMALL, LARGE)]


@pytest.mark.parametrize(("kind", "found"), [("answers", 50), ("judgments", 50), ("repair", 0)])
def test_four_times_the_file_takes_no_more_memory(benches, kind, found):
    peaks = []
    environment = os.environ | {"POLARS_MAX_THREADS": "1"}  # each thread has memory of its own
    for bench in benches:
        command = [sys.executable, "-c", SCRIPT, str(bench), kind]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment)
        count, peak = done.stdout.split()
        assert int(count) == found
        peaks.append(float(peak))
    assert peaks[1] - peaks[0] < 0.6 * (LARGE - SMALL), f"{peaks} MiB"
