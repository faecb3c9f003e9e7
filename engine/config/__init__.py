"""What the user asks for: `config.toml`, validated as a whole, and what follows from it for each call.

model      what a config may hold, table by table
servers    its tables about servers: endpoints, vLLM, clusters, prices
fields     the kinds of value, each with its rule
load       from a file to a Config, or to one error with every problem; `${NAME}` from the environment
adapters   LoRA adapters as entries, and what is on disk of them
checks     what no single table can check: names of entries, keys, what a provider cannot do
problems   the validator's errors in words; wording: paths, lists, near misses
providers  who serves a model, and what of OpenAI's chat API it takes
sampling   what a call is made with, and the settings digest of a result
requests   the JSON body of a chat call
"""
