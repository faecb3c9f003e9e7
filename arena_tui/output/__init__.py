"""Results and progress as text: for stdout, for stderr, for a file to keep. Without Textual."""
