"""Copying through the terminal (OSC 52), which reaches the clipboard of the machine one sits at, over SSH too.

tmux and GNU screen keep such a sequence to themselves unless they are told to pass it on, so inside of them it is sent
a second time, wrapped for the terminal outside. Where both arrive, both say the same. tmux obeys the first with
`set -g set-clipboard on`, the second with `set -g allow-passthrough on`; which one, it does not say.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

_ESC, _END = "\x1b", "\x1b\\"
_SCREEN_CHUNK = 252  # bytes that GNU screen takes of one wrapped sequence (its limit is 256, the frame included)


def copy_sequences(text: str, environment: Mapping[str, str]) -> Iterator[str]:
    """What to write to the terminal to have it copy `text`, given the variables that say what it runs in."""
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode()
    sequence = f"{_ESC}]52;c;{encoded}\x07"
    if environment.get("TMUX"):
        yield sequence
        yield f"{_ESC}Ptmux;{sequence.replace(_ESC, _ESC * 2)}{_END}"
    elif environment.get("STY"):
        chunks = [sequence[at : at + _SCREEN_CHUNK] for at in range(0, len(sequence), _SCREEN_CHUNK)]
        yield "".join(f"{_ESC}P{chunk}{_END}" for chunk in chunks)
    else:
        yield sequence
