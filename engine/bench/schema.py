"""The columns of every kind of file, of both published generations, spelled out for Polars.

Nothing is inferred: an inferred schema makes a column of nulls out of scores that are null in the first lines and drops
keys that come late, both without an error. One file may hold both generations (records appended to a published
generation 2 file are written in generation 1), so each schema has the columns of both; those of the other generation
are null. Ids, labels and topics are String, whatever the file holds: integer ids become their decimal string.

generation 1: arena-hard-auto v0.1 and arena-hard-local. generation 2: arena-hard-auto v2.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import polars as pl
from polars.datatypes import DataType, DataTypeClass

from engine.records import LABELS

Schema: TypeAlias = Mapping[str, DataType | DataTypeClass]

QUESTION: Schema = {
    # generation 1
    "question_id": pl.String,
    "turns": pl.List(pl.Struct({"content": pl.String})),
    # generation 2
    "uid": pl.String,
    "prompt": pl.String,
    "subcategory": pl.String,
    # both
    "category": pl.String,
    "cluster": pl.String,
}

ANSWER: Schema = {
    # generation 1
    "question_id": pl.String,
    "model_id": pl.String,
    "choices": pl.List(
        pl.Struct({"turns": pl.List(pl.Struct({"content": pl.String, "token_len": pl.Int64}))}),
    ),
    # generation 2: the content of a user's message is a string, that of an answer an object, so a string reads as null
    # here. As a String column the object would come back as JSON whose backslashes Polars does not escape.
    "uid": pl.String,
    "model": pl.String,
    "messages": pl.List(pl.Struct({"content": pl.Struct({"answer": pl.String})})),
    "metadata": pl.Struct({"token_len": pl.Int64}),
    # this program's own
    "settings": pl.String,
    "finish_reason": pl.String,
    "inputs": pl.String,
}

_PROBABILITIES = pl.Struct(dict.fromkeys(LABELS, pl.Float64))  # this program's own

JUDGMENT: Schema = {
    # generation 1
    "question_id": pl.String,
    # generation 2
    "uid": pl.String,
    # both
    "model": pl.String,
    "judge": pl.String,
    "games": pl.List(pl.Struct({"score": pl.String, "probabilities": _PROBABILITIES})),
    # generation 2 and this program's own
    "baseline": pl.String,
    "settings": pl.String,
    "inputs": pl.String,
}
