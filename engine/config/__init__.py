"""What the user asks for: `config.toml`, validated as a whole, and what follows from it for each call.

`load` reads a file and reports every problem at once, `model` says what a config may hold, `sampling` tells what a
call is made with, and `yaml_import` turns the three YAML files of arena-hard-auto into a `config.toml`.
"""
