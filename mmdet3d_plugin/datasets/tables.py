"""Reading the JSON tables of nuScenes v1.0, one record at a time.

`sample_data.json` and `ego_pose.json` of v1.0-trainval hold 2.6 million records each; only those of key
frames are kept, so the files are decoded record by record and never held in memory as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError

_CHUNK = 1 << 22
_BETWEEN = " \t\r\n,"


def read_table(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """Records of a table.

    Args:
        folder: `<root>/<version>`.
        name: table, for example "sample_data".

    Raises:
        DataError: the file is missing, or is not a complete JSON list of objects.
    """
    path = folder / f"{name}.json"
    try:
        with path.open(encoding="utf-8") as file:
            yield from _records(file, path)
    except FileNotFoundError as error:
        raise DataError(
            f"table {path} does not exist",
            expected="the tables of nuScenes v1.0: scene, sample, sample_data, ego_pose, ...",
            fix="check root and version, or unpack the metadata archive again",
        ) from error
    except UnicodeDecodeError as error:
        raise _broken(path, str(error)) from error


def _records(file: Any, path: Path) -> Iterator[dict[str, Any]]:
    decode = json.JSONDecoder().raw_decode
    buffer = file.read(_CHUNK).lstrip()
    if not buffer.startswith("["):
        raise _broken(path, f"starts with {buffer[:20]!r}")
    position = 1
    while True:
        while position < len(buffer) and buffer[position] in _BETWEEN:
            position += 1
        if position < len(buffer) and buffer[position] == "]":
            return
        try:
            record, position = decode(buffer, position)
        except json.JSONDecodeError as error:
            more = file.read(_CHUNK)
            if not more:
                raise _broken(path, f"ends within a record ({error.msg})") from error
            buffer, position = buffer[position:] + more, 0
            continue
        if not isinstance(record, dict):
            raise _broken(path, f"an element is {record!r}, not an object")
        yield record


def _broken(path: Path, found: str) -> DataError:
    return DataError(
        f"table {path} is not a JSON list of records",
        found=found,
        expected="[{...}, ...]",
        fix="copy or unpack it again",
    )


def field(record: dict[str, Any], key: str, table: str) -> Any:
    """A field of a record; a record without it is a DataError that names table and token."""
    try:
        return record[key]
    except KeyError as error:
        raise DataError(
            f"record {record.get('token')!r} of table {table} has no field {key!r}", found=sorted(record)
        ) from error
