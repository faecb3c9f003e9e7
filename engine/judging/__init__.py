"""How a judge is asked and understood: prompts, the two games, verdict labels, thinking. Pure."""
