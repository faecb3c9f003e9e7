"""Checkpoints of a training: which folders are some, which are complete, at which step, and what is kept of them.

steps       the step of a checkpoint: from the config, `trainer_state.json` or its name
ledger      `watch.jsonl` of a bench: checkpoint, step, folder

`engine.watch` evaluates them.
"""
