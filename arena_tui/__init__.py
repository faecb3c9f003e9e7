"""The command and the terminal UI of arena-tui, on top of `engine`.

`engine` is a common name: importing this package checks first that Python finds the package beside this one, without
running the code of another.
"""

import os
import sys
from importlib.util import find_spec


def _require_own_engine() -> None:
    """Exit with code 2 and an explanation if `engine` is another package, or is missing."""
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 -- pathlib costs half a start
    expected = os.path.join(here, "engine")  # noqa: PTH118
    spec = find_spec("engine")
    found = (spec.origin or str(list(spec.submodule_search_locations or ()))) if spec is not None else ""
    if found and os.path.realpath(found) == os.path.join(expected, "__init__.py"):  # noqa: PTH118
        return
    problem = f"another package named 'engine' comes first: {found}" if found else "the package 'engine' is missing"
    hint = "remove it from PYTHONPATH and the working folder, or install arena-tui in an empty environment"
    print(f"arena-tui: {problem} (expected: {expected})\n  {hint}", file=sys.stderr)
    raise SystemExit(2)


_require_own_engine()
