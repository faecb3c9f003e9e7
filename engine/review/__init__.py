"""People read judgments one by one, and label answers themselves.

labels       what a label means for the model; the lines of a reviewer's file (pure)
store        a reviewer's file: read whole, appended line by line
listing      judgments as entries of a list, and the filters on them
search       full-text search
library      the judgments of one bench, and each of them whole with its texts
sampling     which pairs to review
"""
