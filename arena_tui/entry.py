"""The console script: answers `--version` and opens the terminal UI itself; all else is for `arena_tui.cli`.

To load the command line takes a twentieth of the CPU time to the first frame.
"""

import gc
import os
import sys

# Objects made before the garbage collector looks for cycles among them: imports make tens of thousands, and no garbage.
COLLECT_AFTER = (50_000, 20, 50)


def entry() -> None:
    """Run as the console script. Files it creates are not writable by others, whatever the umask allows."""
    os.umask(os.umask(0o077) | 0o022)
    if sys.argv[1:] == ["--version"]:
        _print_version()
        return
    gc.set_threshold(*COLLECT_AFTER)
    try:
        sys.exit(_open_ui() if _is_plain() and _has_terminal() else _run_command())
    finally:
        gc.freeze()  # what is left ends with the process: to search it for cycles takes longer than many a command


def _is_plain() -> bool:
    """Return whether neither arguments nor variables say anything."""
    return len(sys.argv) == 1 and not any("ARENA_TUI_" in name for name in os.environ)


def _run_command() -> int:
    from arena_tui.cli import main

    return main()


def _has_terminal() -> bool:
    from arena_tui.commands.ui import has_terminal

    return has_terminal()


def _open_ui() -> int:
    from arena_tui.commands.ui import ui_command
    from arena_tui.invocation import Invocation

    try:
        return ui_command(Invocation())
    except (Exception, KeyboardInterrupt) as error:
        from arena_tui.cli import report_failure

        return report_failure(error)


def _print_version() -> None:
    from engine.version import __version__

    try:
        print(f"arena-tui, version {__version__}", flush=True)
    except BrokenPipeError:  # the reader of stdout closed it (`| head`): not an error
        sys.stderr.close()
