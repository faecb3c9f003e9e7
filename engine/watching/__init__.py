"""Checkpoints of a training: which folders are some, which are complete, at which step, and what is kept of them.

steps       the step of a checkpoint: from the config, `trainer_state.json` or its name
folders     what a folder holds, and whether it is complete
scan        the folders of a training, looked at again and again
entries     checkpoints as entries of the config
ledger      `watch.jsonl` of a bench: checkpoint, step, folder

`engine.watch` evaluates them.
"""
