"""A bench in the formats of other programs: what is current of it, in files of their layout."""
