"""The leaderboard screen and what opens from it.

leaderboard_screen  rows that are rated anew while judgments come in
board_table         the rows with their intervals, and the lines above and below them
ranking             the rows with their axis and the lines under them
model_panel         the summary of one model beside the rows
choices             which judgments count and how they are rated, and the dialogs that change it
rating              boards and model pages computed from judgments and choices; no Textual
model_screen        one model: by category, with its hardest losses
difference_screen   two models compared
curve_screen        the curves of trainings; curve_view draws one with a cursor
opening             opens these from the leaderboard
pages               audit, study plan and all pairs, computed in a thread
"""
