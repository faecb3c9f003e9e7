"""The engine of arena-tui: runs, judges and rates language models. It knows nothing of any user interface."""

__version__ = "0.1.0"
