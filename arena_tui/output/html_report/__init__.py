"""A leaderboard and the judgments behind it as one HTML file that loads nothing and runs nothing."""
