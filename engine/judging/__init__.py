"""What a judge is sent and what its reply means. Pure.

prompts        judge prompts, templates, and the messages of the two games
fence          a fence around answers that no answer can close
influence      attempts of an answer to influence its judge
verdicts       the verdict asked for on its own: constrained to a label, or as a probability of each label
rules          the label rules by name: `lenient`, those of published programs, a user's pattern
lenient        the rule for what judges really write: finds labels in a reply and never guesses between two
spelling       the spellings of the five labels, and the verdict of one reply
probabilities  distributions over the five labels
reasoning      splits a reply into reasoning and visible text
"""
