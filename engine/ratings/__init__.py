"""From verdicts to a leaderboard: pure functions over arrays, no files and no network.

    battles        verdicts as flat arrays, one element a game
    repeated_rows  games from battles files that repeat the rows of strong verdicts
    soft           what games are expected to bring, by the judge's probabilities
    outcomes       points summed per question and pair of models
    bradley_terry  strengths of models from pairwise points
    newton         the fit itself, for many resamples at once
    bootstrap      points summed for resampled questions or rows, and intervals
    estimate       win rates against the baseline with 95 % limits
    counts         how many questions and games a rating rests on
    cautions       what a reader must know before believing a leaderboard
    full_stats     what `--full-stats` adds to a row
    leaderboard    rows, warnings and groups, exactly as the JSON output has them

    influence      what each question does to each score: clustered and paired standard errors
    student        how much wider limits from few questions have to be
    paired         two models question by question
    direct         games that two models played against each other
    multiplicity   many p-values at once, and the ranks still possible
    compare        all of that as one result, exactly as the JSON output has it
    power          questions, calls and time that a difference takes

    confidence_sequence  limits that may be looked at all the time
    stop_rule            what `run --until` asks for
    sequential           which models need no more judgments

    evidence         points by question, stored with a result
    non_inferiority  whether a model is not worse by more than a margin
    gate             both as a verdict for CI; gate_sides: what is held against what

    features       length and Markdown of an answer
    style          win rates with what style is worth to the judge taken out
    style_fit      strengths of models and weights of style, fitted together
    audit          what speaks for and against a judge

This package imports nothing by itself: numpy is loaded when one of its modules is.
"""
