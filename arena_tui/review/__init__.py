"""Review by a person: blind pairs, one key for a label, then what the judge said.

review_screen   the screen
review_session  the sample, its labels and the agreement with the judge, and the lines that show them
"""
