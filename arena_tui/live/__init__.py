"""What the UI shows and steers while it is open: the session, its run, what is watched beside it. Without Textual."""
