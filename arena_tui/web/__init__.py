"""The terminal UI in a browser (`arena-tui web`).

server    the HTTP server: who may open a page, what a page loads, its WebSocket
access    the one-time link, the sessions of browsers, their cookie
page      one open page: the process that it shows, with bounds on what the browser may send and take
driver    Textual's driver inside that process, which ends when the server is gone
"""
