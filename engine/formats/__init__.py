"""A bench in the files of other programs: what comes in, and what is current going out.

importing            arena-hard folders and files of either generation into `data/<bench>/`
bounded_yaml         YAML files, bounded in size, depth and aliases
original_config      arena-hard-auto's three YAML files as `config.toml`
original_categories  its baselines by category of questions, which its code holds
original_models      ... and its `api_config.yaml` as the tables of the models
foreign_pairs        judgments of pairs by AlpacaEval, MT-bench, LMArena and JudgeBench, row by row
foreign_judgments    ... turned into a folder of a bench that an import takes
foreign_answers      AlpacaEval, AutoArena and MT-bench files turned into files that an import takes
catalogue            the formats that are written and read: the only list of them
row_files            rows of JSON, CSV, Parquet and text files, compressed or not
hub_access, pushing  a hub of data sets: its library, its refusals; uploads on request
selection            what of a bench goes out: the questions, answers and judgments that its leaderboard rests on
export               one export: checks the place, writes the files of a format, reports what stayed behind
arena_hard           arena-hard-auto v0.1 (generation 1) and v2.0 (generation 2)
alpaca_eval          AlpacaEval's model outputs and annotations
published            what the formats of results share
leaderboard_files    arena-hard-auto's leaderboard CSV, lm-evaluation-harness's results
model_card           `model-index` and `.eval_results` of the Hugging Face Hub
every_eval_ever      records of the shared schema, with a proposal for pairs
data_set             a folder for `datasets.load_dataset`
tables               one flat table of all games, as CSV or Parquet
battles_file         battles and bootstrap rounds in the original's files, both ways
"""
