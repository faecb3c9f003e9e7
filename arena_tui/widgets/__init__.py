"""What the screens share. Widgets paint themselves line by line, so that a running screen costs the engine little.

screens       full screens: title and key bar, the session, errors as notices; and those that read the judgments
dialogs       details, help, and the question before quitting
virtual_list  a list that paints only visible lines
columns       columns that fit a width, and the bars and short numbers in them
lines         the title bar, the key bar, and lines of text
"""
