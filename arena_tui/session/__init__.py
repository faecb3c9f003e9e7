"""What the UI shows and steers while it is open. No module here imports Textual.

arena_session  one config and its bench, with at most one run at a time: what screens read and command
open_bench     config and bench, and what was judged there
judged_cache   judgments read for the leaderboard, and read again when a file has changed
run_watch      what is watched of a run: log, latencies, speeds, servers, GPUs
"""
