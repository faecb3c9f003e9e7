"""Reading judgments one by one, by people: listing, filtering, and the labels that people give themselves."""
