"""Results and progress as text, for stdout, stderr or a file, without Textual.

leaderboard          a leaderboard in five formats
leaderboard_columns  its columns, for the formats that people read
compare, gate        a comparison, a gate
audit                the audit of judges; `audit_findings` phrases what it found
curve                curves of trainings; `curve_words` has the words, `curve_plot` draws, `curve_svg` makes a picture
power                a study plan (`arena-tui plan`)
plan                 the plan of a run (`--dry-run`)
progress             progress lines and the live table of a run
stop_rule            where models stand under a stop rule
report               the report of a bench: an HTML page with plots, or Markdown
word_diff            the words in which two texts differ
tables, forest       tables and intervals drawn as text
json_text            JSON
"""
