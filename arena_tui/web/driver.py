"""Textual's driver of a page: it ends the program when the server is gone, and writes whole packets or none."""

from __future__ import annotations

import json
import os
import signal

from textual.drivers.web_driver import WebDriver

from arena_tui.terminal_driver import TerminalLost

LEAVING_SECONDS = 20  # to stop or leave its run once the server is gone; then the kernel ends it


class PageDriver(WebDriver):
    """Speaks to `arena_tui.web.page` on stdin and stdout."""

    def run_input_thread(self) -> None:
        super().run_input_thread()
        if not self.exit_event.is_set():  # the end of stdin, which the server holds open
            signal.setitimer(signal.ITIMER_REAL, LEAVING_SECONDS)  # nothing handles SIGALRM: a busy program ends too
            self._app.post_message(TerminalLost())

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """Handle a message of the server; a page that was closed is a terminal that is lost."""
        if packet_type == "quit":
            self._app.post_message(TerminalLost())
        else:
            super().on_meta(packet_type, payload)

    def write(self, data: str) -> None:
        """Write text for the browser's terminal."""
        self._send(b"D", data.encode("utf-8", "replace"))

    def write_meta(self, data: dict[str, object]) -> None:
        """Write a message for the server."""
        self._send(b"M", json.dumps(data).encode())

    def _send(self, kind: bytes, payload: bytes) -> None:
        """Write one packet; drop it when the server is gone."""
        rest = memoryview(b"%s%s%s" % (kind, len(payload).to_bytes(4, "big"), payload))
        try:
            while rest:  # a signal may cut a write short
                rest = rest[os.write(self.fileno, rest) :]
        except OSError:
            return
