"""Judgments: the list, the viewer, and how long texts that others wrote are laid out for a terminal.

judgments_screen  the list with filters and search
judgment_list     the rows of judgments, of all models and of one
filter_screen     the dialog for filters
viewer_screen     one judgment whole
preview           its text beside the list
about             the lines above its text
copying           the dialog that copies a part, and the terminal sequences for it (OSC 52)
judgment_page     the pages of one judgment, and a cache of pages laid out
page              rows of headings and passages, and the pane that shows and scrolls them
passages          raw text: wrapped, with Markdown highlighted
markdown          rendered Markdown
"""
