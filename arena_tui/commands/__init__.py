"""One module per command: it reads its options, asks the engine, prints results to stdout and the rest to stderr."""
