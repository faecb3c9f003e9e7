"""Has a watch evaluate every checkpoint that a `transformers.Trainer` saves. To be imported by the trainer's process.

    from engine.watching.callback import ArenaCallback

    trainer = Trainer(..., callbacks=[ArenaCallback("http://127.0.0.1:8765")])

The file needs nothing of this program but itself, and may be copied beside the training script. It sends one request
for each checkpoint, in a thread of its own: a watch that is slow, busy or down delays and stops no training.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

try:
    from transformers import TrainerCallback
except ImportError:  # another training loop, which calls `evaluate`
    TrainerCallback = object

ADDRESS_VARIABLE = "ARENA_TUI_WATCH_URL"
TOKEN_VARIABLE = "ARENA_TUI_WATCH_TOKEN"
_logger = logging.getLogger("arena_tui.watch")


def default_token_file() -> Path:
    """Return where a watch of this user keeps its token unless another file is named."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (
        (Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state") / "arena-tui" / "watch-token"
    )


class ArenaCallback(TrainerCallback):  # type: ignore[misc]  # its package has no types
    """Names each saved checkpoint to the watch at `url`.

    Args:
        url: of the watch, by default that in ARENA_TUI_WATCH_URL.
        token: by default that in ARENA_TUI_WATCH_TOKEN, else that in `token_file`, which by default is the file that a
            watch of the same user makes.
        timeout: seconds for a request, and for those in flight when the training ends.
    """

    def __init__(
        self, url: str = "", *, token: str = "", token_file: str | os.PathLike[str] = "", timeout: float = 10.0
    ) -> None:
        self._url = (url or os.environ.get(ADDRESS_VARIABLE, "")).rstrip("/")
        self._token = token or os.environ.get(TOKEN_VARIABLE, "")
        self._token_file = Path(token_file) if token_file else default_token_file()
        self._timeout = timeout
        self._threads: list[threading.Thread] = []
        if not self._url:
            raise ValueError(f"name the address of the watch, or set {ADDRESS_VARIABLE}")

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Name the checkpoint that was just saved; on the first process of a distributed training alone."""
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir, f"checkpoint-{state.global_step}").resolve()
        self.evaluate(folder, state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Let requests in flight end."""
        for thread in self._threads:
            thread.join(self._timeout)

    def evaluate(self, folder: str | os.PathLike[str], step: int | None = None) -> None:
        """Name a checkpoint, from any training loop. Returns at once; what goes wrong is a warning in the log."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._send, args=(os.path.realpath(folder), step), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _send(self, folder: str, step: int | None) -> None:
        try:
            token = self._token or self._token_file.read_text("ascii").strip()
            request = urllib.request.Request(
                f"{self._url}/evaluate",
                json.dumps({"model": folder, "step": step}).encode(),
                {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
            )
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
            with opener.open(request, timeout=self._timeout):
                pass
        except urllib.error.HTTPError as refusal:
            _logger.warning("the watch at %s did not take %s: %s", self._url, folder, _reason(refusal))
        except (OSError, ValueError) as error:
            _logger.warning("the watch at %s was not reached for %s: %s", self._url, folder, error)


def _reason(refusal: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(refusal.read(1 << 16))["error"]["message"])
    except (OSError, ValueError, LookupError, TypeError):
        return str(refusal)
