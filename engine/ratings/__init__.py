"""From judgments to a leaderboard: pure functions over arrays, no files and no network.

    battles        games as flat arrays
    outcomes       points summed per question and pair of models, by label or as expected from probabilities
    bradley_terry  strengths of models from pairwise points
    limits         95 % limits and p-values, from resampled questions or from the influence of each question
    score_limits   95 % limits of scores that hold near 0 and 100 percent too
    chains         limits and p-values of models that won every chain of games to another
    estimate       win rates against the baseline with 95 % limits
    style          win rates with the effect of answer style taken out
    style_fit      strengths of models and weights of style, fitted together
    markdown       headers, lists and bold spans of an answer

    model_stats    the counts behind each score, and the details of full statistics
    cautions       warnings about a leaderboard
    leaderboard    rows, warnings and groups, exactly as the JSON output has them

    paired         two models question by question, and the games they played against each other
    compare        all pairs of models as one result, exactly as the JSON output has it
    verdict        better, worse, equivalent within a margin, or undecided: what all results state first
    power          questions, calls and time needed to detect a difference
    variance       the noise of a score split into questions, answers and the judge
    noise          that split as a result, exactly as the JSON output has it
    mix            the cheapest mix of questions, answers and judgments for a half-width

    simultaneous       statements about many estimates at once, by the joint distribution of their errors
    checkpoint_scores  scores of the checkpoints of a training, and their differences
    curve_tests        which checkpoints can be the best, what one loses against it, after which none is better
    curve              the curve of a training; `curve_result` is what it says, exactly as the JSON output has it

    stop_rule            stop rules of a run: the rule, where a model stands, and the report at the end
    betting              tests and limits that stay valid at every look
    family               which of several models are called, with one level for all of them
    sequential           which models need no more judgments

    evidence       points by question, stored with a result, and when two results are comparable
    bounded_likelihood   test and limits of a mean of bounded values, for the gate
    sensitivity    whether the judge can be seen to notice a difference
    bounded_difference   difference of two scores with limits that hold for skewed outcomes
    gate           non-inferiority of models, as a result for CI

This package imports nothing by itself: numpy is loaded when one of its modules is.
"""

from typing import Final

ALPHA: Final = 0.05
"""Error rate of every interval (95 %) and of every two-sided test."""
MINIMUM_QUESTIONS: Final = 30
"""With fewer questions, limits that rest on the central limit theorem (bootstrap, standard errors) are too narrow, and
those of a profile likelihood are wide."""
MOST_ROUNDS: Final = 1_000_000
"""Of a bootstrap."""
FEWEST_QUESTIONS: Final = 7
"""A run may decide a model on so few questions, if it wins or loses all of them strongly."""
