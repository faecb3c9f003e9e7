"""What opening the leaderboard of a large bench costs: from its key to its rows on the terminal.

    python benchmarks/board_cost.py [--models 99] [--questions 1000] [--rounds 3]

The program itself, in a pty of 120x40 with the summary of a model beside the rows, on a bench of made-up texts. The
key is pressed at the first frame, so that reading the bench counts. "first" reads all files and writes the index; the
others find the index of the bench as they left it. CPU is that of the process from the key on.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from viewer_cost import Program, write_bench

BOARD_ASKED = 1000  # milliseconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=99)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_bench(Path(folder), models=options.models, questions=options.questions, answer_bytes=120)
        print(f"{options.models * options.questions:,} judgments")
        show("first", *time_board(Path(folder)))
        times = [time_board(Path(folder)) for _ in range(options.rounds)]
        wall, cpu = (statistics.median(each) for each in zip(*times, strict=True))
        show(f"again, median of {options.rounds}", wall, cpu)
        print(f"asked: {BOARD_ASKED} ms")


def show(name: str, wall: float, cpu: float) -> None:
    print(f"  {name:24}{wall:8.0f} ms   (CPU {cpu:.0f} ms)")


def time_board(folder: Path) -> tuple[float, float]:
    """Return the milliseconds from the key to the first row of the board, and those of CPU."""
    with Program(folder) as program:
        program.wait_for("Run]")
        began, cpu_began = time.perf_counter(), cpu_of(program.pid)
        program.press("2")
        program.wait_for("●", 200)  # the first estimate
        return 1000 * (time.perf_counter() - began), cpu_of(program.pid) - cpu_began


def cpu_of(pid: int) -> float:
    """Return the milliseconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 10.0 * (int(fields[11]) + int(fields[12]))


if __name__ == "__main__":
    main()
