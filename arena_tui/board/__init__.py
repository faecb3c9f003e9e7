"""What the leaderboard screen shows, without Textual: the choices of how to rate, and boards rated accordingly.

choices     which judgments count, and how: one immutable value
rating      a board from judgments and choices; rated again only when one of them has changed
model_page  one model in detail: by category, with what it lost
"""
