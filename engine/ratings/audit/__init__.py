"""What speaks for and against a judge, from its own verdicts: pure functions over arrays.

shares       percentages with limits from resampled questions
position     does the place of an answer decide?
preference   do length and Markdown decide?
language     are answers in another language punished?
family       does the judge favour its own kind?
agreement    do judges agree with each other beyond chance?
people       do people agree with the judge, and what would the scores be if they had judged?
trials       what extra calls bring: constant answers that must lose, verdicts asked for again
report       all of it for one judge
opinion      what it means, in words
"""
