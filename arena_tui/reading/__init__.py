"""Long texts that others wrote, laid out in rows for a terminal. Knows nothing of screens: it may work in a thread."""
