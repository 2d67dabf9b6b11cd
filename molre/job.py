"""What every job shares: its configuration from flags and YAML, its summary, and how it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import re
import sys
import time
import types
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro
import yaml

from molre.errors import ConfigError, MolreError, storage_fault
from molre.location import Location

Config = TypeVar("Config")

EXIT_USER_ERROR = 2
"""Exit status of an error that the person who started the job can put right."""


def run(main: Callable[[Config], Mapping[str, Any] | None], config_type: type[Config]) -> NoReturn:
    """Parse the command line, run the job, write ``summary.json`` and the resolved configuration, and exit.

    Args:
        main: takes the configuration, returns what the summary is to say.
        config_type: a frozen dataclass; its ``out`` field, where there is one, says where the summary goes.
    """
    start = time.monotonic()
    try:
        config = parse(config_type, sys.argv[1:])
        told = main(config)
        if told is not None:
            write_summary(config, {**told, "seconds": round(time.monotonic() - start, 2)})
    except MolreError as error:
        print(f"error: {one_line(error)}", file=sys.stderr, flush=True)
        sys.exit(EXIT_USER_ERROR)
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # for the flush at exit
        sys.exit(0)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr, flush=True)
        sys.exit(130)
    sys.exit(0)


def one_line(error: BaseException) -> str:
    """The error's own sentence, without the traceback that Ray adds on its way from a worker."""
    cause = getattr(error, "cause", None)
    text = str(cause if isinstance(cause, BaseException) else error)
    return " ".join(text.split())


def parse(config_type: type[Config], arguments: list[str]) -> Config:
    """A configuration from ``--config FILE.yaml`` and flags; flags win.

    Raises:
        ConfigError: a flag, key or value is wrong.
        SystemExit: ``--help`` was asked for.
    """
    file, rest = _config_flag(arguments)
    default = _from_yaml(config_type, file) if file else None
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            return tyro.cli(  # type: ignore[return-value]
                config_type,
                args=rest,
                default=default,
                description=(config_type.__doc__ or "") + "\n\n--config FILE.yaml gives defaults; flags win over it.",
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ConfigError(f"{_plain(told.getvalue())} (see --help)") from None


def resolved(config: Any) -> dict[str, Any]:
    """The configuration as plain values, as it is written beside a result."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def write_summary(config: Any, told: Mapping[str, Any]) -> None:
    """Write ``summary.json`` and ``config.yaml`` into the configuration's ``out`` location.

    Raises:
        MolreError: they cannot be written.
    """
    out, saved = Location.of(config.out), resolved(config)
    summary = json.dumps({**told, "config": saved}, indent=2, allow_nan=False)
    try:
        (out / "config.yaml").write_bytes(yaml.safe_dump(saved, sort_keys=False).encode())
        (out / "summary.json").write_bytes(summary.encode())
    except OSError as error:
        raise MolreError(
            f"cannot write the summary to {out}: {storage_fault(error)}; run it again when that is mended"
        ) from None


def _config_flag(arguments: list[str]) -> tuple[str | None, list[str]]:
    rest = list(arguments)
    for position, word in enumerate(rest):
        if word == "--config":
            if position + 1 == len(rest):
                raise ConfigError("--config needs a YAML file")
            return rest[position + 1], rest[:position] + rest[position + 2 :]
        if word.startswith("--config="):
            return word.partition("=")[2], rest[:position] + rest[position + 1 :]
    return None, rest


def _from_yaml(config_type: type[Config], file: str) -> Config:
    where = Location.of(file)
    try:
        values = yaml.safe_load(where.read_bytes()) or {}
    except FileNotFoundError:
        raise ConfigError(f"no configuration file at {file}") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{file} is not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{file} must hold keys and values, as the config.yaml of a result does")
    return _fill(config_type, values, file)


def _fill(config_type: type[Config], values: Mapping[str, Any], file: str) -> Config:
    hints = get_type_hints(config_type)
    fields = {field.name: field for field in dataclasses.fields(config_type)}  # type: ignore[arg-type]
    unknown = sorted(str(key) for key in set(values) - set(fields))
    if unknown:
        raise ConfigError(f"{file} has the unknown key {unknown[0]!r}: the keys are {', '.join(fields)}")
    try:
        return config_type(**{key: _typed(hints[key], value, f"{file}: {key}") for key, value in values.items()})
    except TypeError as error:
        raise ConfigError(f"{file}: {error}") from None


def _typed(hint: Any, value: Any, where: str) -> Any:
    """The YAML value as the annotated type, refusing what a flag would refuse."""
    options = [hint]
    if get_origin(hint) in (Union, types.UnionType):
        options = list(get_args(hint))
    if value is None and type(None) in options:
        return None
    if isinstance(value, tuple(each for each in options if isinstance(each, type))) and not isinstance(value, bool):
        return value
    wanted = next(option for option in options if option is not type(None))
    if get_origin(wanted) is tuple and isinstance(value, list):
        return tuple(_typed(get_args(wanted)[0], item, where) for item in value)
    if get_origin(wanted) is not None:
        if value in get_args(wanted):
            return value
        raise ConfigError(f"{where} is {value!r}: choose from {', '.join(map(str, get_args(wanted)))}")
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ConfigError(f"{where} is {value!r}: it must be {wanted.__name__}")
    return value


def _plain(told: str) -> str:
    """Tyro's boxed message on one line, without the box and its title."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", told)
    boxed = [line.strip(" │") for line in text.splitlines() if not {"╭", "╰"} & set(line)]
    kept = [line for line in boxed if line and set(line) != {"─"} and "--help" not in line]
    line = " ".join(" ".join(kept or text.split()).split())
    return re.sub(r"^Error parsing [A-Z]\w*: ", "", line)  # a configuration's own sentence needs no other
