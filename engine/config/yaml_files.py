"""Finding arena-hard-auto's YAML files: which one says where models are, who answers, and how they are judged.

The files are told apart by what they hold, since generation 2 names its judge settings after the bench
(`arena-hard-v2.0.yaml`); of several of one kind, the one with the usual name is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml

from engine.errors import ConfigError, ConfigProblem

Kind: TypeAlias = Literal["models", "answers", "judge"]

_USUAL_NAMES: dict[Kind, str] = {"models": "api_config", "answers": "gen_answer_config", "judge": "judge_config"}
_SUFFIXES = {".yaml", ".yml"}


@dataclass
class OriginalFiles:
    """The documents that were found, one of each kind at most, and the files that they came from."""

    documents: dict[Kind, dict[Any, Any]] = field(default_factory=dict)
    files: dict[Kind, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, kind: Kind) -> dict[Any, Any]:
        """The document of that kind; empty when there is none."""
        return self.documents.get(kind, {})


def find_original_files(source: Path) -> OriginalFiles:
    """The YAML files of a folder (or of its `config/`), or one file together with the other kinds beside it.

    Raises ConfigError: nothing there, not YAML (with the line).
    """
    folder = source if source.is_dir() else source.parent
    if source.is_dir() and not _yaml_files(folder) and (folder / "config").is_dir():
        folder /= "config"
    found = OriginalFiles()
    if not source.is_dir():
        kind, document = _read(source)
        if kind is None:
            raise ConfigError(str(source), [ConfigProblem("YAML", "is none of arena-hard-auto's config files")])
        found.documents[kind], found.files[kind] = document, source

    candidates: dict[Kind, dict[Path, dict[Any, Any]]] = {}
    for path in _yaml_files(folder):
        if path not in found.files.values():
            kind, document = _read(path)
            if kind is None:
                found.notes.append(f"{path.name}: not one of arena-hard-auto's config files; not read")
            elif kind not in found.files:
                candidates.setdefault(kind, {})[path] = document
    for kind, choices in candidates.items():
        chosen = next((path for path in choices if path.stem == _USUAL_NAMES[kind]), list(choices)[-1])
        found.documents[kind], found.files[kind] = choices[chosen], chosen
        found.notes += [
            f"{path.name}: not used, {chosen.name} was taken; import the file itself to use it instead"
            for path in choices
            if path != chosen
        ]
    if not found.files:
        hint = "give a folder with api_config.yaml, gen_answer_config.yaml and judge_config.yaml"
        raise ConfigError(str(source), [ConfigProblem("YAML", "there is no config file of arena-hard-auto", hint)])
    return found


def _yaml_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())


def _read(path: Path) -> tuple[Kind | None, dict[Any, Any]]:
    try:
        document = yaml.safe_load(path.read_bytes().decode("utf-8-sig"))
        return _kind_of(document), document if isinstance(document, dict) else {}
    except OSError as error:
        wrong = ConfigProblem("file", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        wrong = ConfigProblem("file", f"is not UTF-8 text (byte {error.start})", "save it as UTF-8")
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        wrong = ConfigProblem("YAML", f"{line}{error.problem or 'cannot be read'}")
    except (yaml.YAMLError, ValueError, RecursionError):
        wrong = ConfigProblem("YAML", "cannot be read as YAML")
    # Raised outside the handlers: the parser's own error quotes the file, keys included.
    raise ConfigError(str(path), [wrong])


def _kind_of(document: object) -> Kind | None:
    if not isinstance(document, Mapping):
        return None
    if "judge_model" in document:
        return "judge"
    if "model_list" in document:
        return "answers"
    marks = {"api_type", "endpoints", "model_name"}
    return "models" if any(isinstance(entry, Mapping) and marks & entry.keys() for entry in document.values()) else None
