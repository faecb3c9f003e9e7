"""The screens of the terminal UI: each reads the session and paints immutable states; none calls a server."""
