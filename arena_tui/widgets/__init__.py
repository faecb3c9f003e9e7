"""Widgets that paint themselves line by line, so that a running screen costs the engine next to nothing."""
