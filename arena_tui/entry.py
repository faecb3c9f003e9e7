"""The console script: `--version` is answered before anything heavy is imported, all else by `arena_tui.cli`."""

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
    from arena_tui.cli import main

    try:
        sys.exit(main())
    finally:
        gc.freeze()  # what is left ends with the process: to search it for cycles takes longer than many a command


def _print_version() -> None:
    from engine.version import __version__

    try:
        print(f"arena-tui, version {__version__}", flush=True)
    except BrokenPipeError:  # the reader of stdout closed it (`| head`): not an error
        sys.stderr.close()
