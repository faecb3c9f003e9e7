"""What opening the leaderboard of a large bench costs: from its key to its rows on the terminal.

    python benchmarks/board_cost.py [--models 99] [--questions 1000] [--rounds 3]

The program itself, in a pty of 120x40 with the summary of a model beside the rows, on a bench of made-up texts. The
key is pressed at the first frame, so that reading the bench counts. "first" reads all files and writes the index; the
others find the index of the bench as they left it.
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
        show("first", time_board(Path(folder)))
        times = [time_board(Path(folder)) for _ in range(options.rounds)]
        show(f"again, median of {options.rounds}", statistics.median(times))
        print(f"asked: {BOARD_ASKED} ms")


def show(name: str, wall: float) -> None:
    print(f"  {name:24}{wall:8.0f} ms")


def time_board(folder: Path) -> float:
    """Return the milliseconds from the key to the first row of the board."""
    with Program(folder) as program:
        program.wait_for("Run]")
        began = time.perf_counter()
        program.press("2")
        program.wait_for("●", 200)  # the first estimate
        return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
