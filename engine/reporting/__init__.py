"""Who hears of results beside the bench: notices by command or webhook, and experiment trackers.

    notifier    [notify]: a command or a webhook when a model is decided, a run fails or ends, a training plateaus
    metrics     names and values that trackers get, from leaderboards, curves and run states      pure
    trackers    [track]: the side of the run: a process of its own, with a bounded queue
    tracking_process   that process: one thread a tracker, `python -m engine.reporting.tracking_process`
    backends    what each tracker is called with
    reporting   both for one run, or for several that share them (`watch`)

Nothing here can stop or slow a run: what fails is reported once, and what takes too long is given up.
"""
