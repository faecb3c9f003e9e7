"""What the UI shows and steers while it is open. No module here imports Textual.

arena_session  one config and its bench, with at most one run at a time: what screens read and command
run_watch      log, latencies and speeds of a run, gathered from its events
gpu_watch      load of this machine's GPUs
"""
