"""The command and the terminal UI of arena-tui, on top of `engine`."""
