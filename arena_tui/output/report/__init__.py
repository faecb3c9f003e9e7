"""The report of a bench for a person to read: one HTML page, or Markdown for a pull request or a model card.

content    what the report shows, all of it returned by the functions behind `leaderboard`, `compare` and `audit`
sections   its sections; optional_sections those that only some benches have
examples   questions in which two models differ, with the words that only one answer has
plots      the plots, drawn by matplotlib as SVG in the colours of the page
page       the HTML page, by templates/report.html.j2 and templates/report.css
markdown   the same in Markdown, within the size limit of GitHub
writing    where a report is written, and what it may overwrite
"""
