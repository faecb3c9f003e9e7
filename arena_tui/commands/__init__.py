"""One module per command: each reads its options, asks the engine, and prints results to stdout and the rest to stderr."""
