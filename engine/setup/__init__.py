"""Sets up a first run: the benches and servers that are found, a proposal made of them, and the text of its config.

benches   the benches of a data folder, and benches beside it that are not imported yet
servers   servers at typed addresses and local ports, asked what they serve
proposal  who answers, who judges, and with which baseline                        pure
template  the commented config of a setup                                         pure
problems  everything that is wrong with a config and its bench, at once
"""
