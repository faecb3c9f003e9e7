"""The audit of a judge: reads what a bench holds about it, asks it more if wanted, and says what that means.

    material   everything of a bench, or of a published battles file, that an audit looks at
    replies    the judges' stored replies, read again
    tongues    which answers are in another language than their question
    people     the labels of the reviewers, as arrays
    report     from the material to the report
    constants, trial_games, asking
               real calls: constant answers that must lose, verdicts asked for again

What the figures are is in `engine.ratings.audit`.
"""
