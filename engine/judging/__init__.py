"""What a judge is shown and what its reply means: prompts, the two games, verdict labels, thinking set apart. Pure."""
