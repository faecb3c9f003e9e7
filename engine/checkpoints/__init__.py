"""Evaluates the checkpoints of a training while it trains: what next, on which servers, until what is decided.

watch       the loop: finds checkpoints, evaluates one after the other, reports
evaluation  one checkpoint: its runs, its standing against the baseline and against the best so far
standings   where checkpoints stand, computed anew from what the bench holds
servers     servers that stay up from one checkpoint to the next, and adapters on them
listener    `POST /evaluate` and `GET /status` for trainers
report      what is reported of a checkpoint

What a folder holds, steps and names are in `engine.watching`.
"""
