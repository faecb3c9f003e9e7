"""One module a command: takes its options, calls the engine, prints results to stdout and messages to stderr."""
