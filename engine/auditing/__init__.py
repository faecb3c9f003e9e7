"""The audit of a judge: can its verdicts be trusted for this bench?

Pure figures over arrays, percent or kappa with 95 % limits by question:

    intervals    estimates with limits from whole questions
    verdicts     kinds of verdicts; flips and the share of the first place
    biases       length and Markdown, the language of the answers, the judge's own family
    agreement    Cohen's kappa of two raters: judges, or a judge and people
    people       agreement with people, and scores corrected by their labels
    trials       constant answers that must lose, identical answers, repeated games
    report       all figures of the judges of a bench, in the shape of the JSON output
    findings     a level for each thing examined, and whether the judge can be trusted

With input and output:

    material     what a bench, or a published battles file, holds for an audit
    auditor      from the material to the report
    asking       extra calls to the judge
    known_bad    what a judge gave to answers that must lose, stored with the bench
"""
