"""Progress on a terminal, seen through a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios

from arena_program import ARENA


def seen_on_a_terminal(*arguments: str, columns: int = 100, rows: int = 30) -> str:
    """All that the program draws on a terminal of that size, without the codes that move the cursor."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    program = subprocess.Popen(
        [*ARENA, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=slave,
        env=environment | {"TERM": "xterm"},
    )
    os.close(slave)
    drawn = bytearray()
    try:
        while piece := os.read(master, 1 << 16):
            drawn += piece
    except OSError:  # the other side is closed
        pass
    finally:
        os.close(master)
    assert program.wait(180) == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode())


def test_the_stages_are_a_table_with_bars_while_they_go_on(tmp_path):
    drawn = seen_on_a_terminal("--data", str(tmp_path), "--demo", "--no-ui")
    assert re.search(r"sim-strong +[━╸╺]+ +\d+/48", drawn)
    assert re.search(r"answers: \d+/\d+", drawn)
    assert "done: " in drawn
