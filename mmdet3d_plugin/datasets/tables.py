"""Reading the JSON tables of nuScenes v1.0, some thousand records at a time.

`sample_data.json` and `ego_pose.json` of v1.0-trainval hold 2.6 million records each, 2 GB of text, of which the key
frames are a sixth. No file is in memory as a whole, and records that nobody wants need not be decoded.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from ..errors import DataError

_CHUNK = 1 << 22
_BETWEEN = " \t\r\n,"
_BORDER = re.compile(rb"\}\s*,\s*\{")
_TAIL = 1 << 16  # where a border is looked for before it is looked for everywhere


class Where:
    """Which records of a table matter, told by the text of one field.

    Args:
        key: field that every record has once.
        matters: of the JSON text of its value, `b'"abc"'` or `b"true"`, whether the record may matter.
    """

    def __init__(self, key: str, matters: Callable[[bytes], bool]):
        self._value = re.compile(rb'"%s"\s*:\s*("[^"\\]*"|\w+)' % key.encode())
        self._matters = matters

    @classmethod
    def among(cls, key: str, values: Iterable[object]) -> Where:
        """Records whose field is one of some texts."""
        texts = {json.dumps(value, ensure_ascii=False).encode() for value in values if isinstance(value, str)}
        return cls(key, texts.__contains__)

    def select(self, text: bytes, between: bytes) -> bytes:
        """A text `a}, {b}, {c` without the records that do not matter; all of it where it may be divided within one.

        A border within a string leaves an odd number of quotes on both of its sides, one within a nested list of
        objects a brace.

        Args:
            text: records without the first and the last brace.
            between: what divides them.
        """
        records, values = text.split(between), self._value.findall(text)
        borders = len(records) - 1
        flat = text.count(b"{") == text.count(b"}") == borders and b"\\" not in text
        if len(values) != len(records) or not flat or any(record.count(b'"') & 1 for record in records):
            return text
        return between.join(compress(records, map(self._matters, values)))


def read_table(folder: Path, name: str, where: Where | None = None) -> Iterator[dict[str, Any]]:
    """Records of a table.

    Args:
        folder: `<root>/<version>`.
        name: table, for example "sample_data".
        where: records that do not matter can be left out, undecoded and unchecked, or come nevertheless.

    Raises:
        DataError: the file is missing, or is not a complete JSON list of objects.
    """
    path = folder / f"{name}.json"
    try:
        with path.open("rb") as file:
            yield from _records(file, path, where)
    except FileNotFoundError as error:
        raise DataError(
            f"table {path} does not exist",
            expected="the tables of nuScenes v1.0: scene, sample, sample_data, ego_pose, ...",
            fix="check root and version, or unpack the metadata archive again",
        ) from error
    except UnicodeDecodeError as error:
        raise _broken(path, str(error)) from error


def require_whole(folder: Path, name: str) -> None:
    """Decode every record of a table, for whoever misses one that should be there.

    Raises:
        DataError: as of :func:`read_table`.
    """
    for _ in read_table(folder, name):
        pass


def _records(file: BinaryIO, path: Path, where: Where | None) -> Iterator[dict[str, Any]]:
    """Whole chunks up to a border between two records; from the last border on, or where a chunk is no list of
    objects because its border lay in a text or it is damaged, one record after the other."""
    text = file.read(_CHUNK).lstrip()
    if not text.startswith(b"["):
        raise _broken(path, f"starts with {text[:20].decode(errors='replace')!r}")
    text = text[1:]
    position = file.tell() - len(text)
    while True:
        border = _last_border(text)
        if border is not None:
            end, start = border.start() + 1, border.end() - 1
            try:
                batch = _decode(text[:end], where)
            except ValueError:
                break
            for record in batch:
                yield _object(record, path)
            text, position = text[start:], position + start
        more = file.read(_CHUNK)
        if not more:
            break
        text += more
    file.seek(position)
    yield from _one_by_one(io.TextIOWrapper(file, encoding="utf-8"), path)


def _last_border(text: bytes) -> re.Match[bytes] | None:
    for start in (max(0, len(text) - _TAIL), 0):
        borders = list(_BORDER.finditer(text, start))
        if borders:
            return borders[-1]
    return None


def _decode(text: bytes, where: Where | None) -> list:
    """Records of a text `{...}, {...}, {...}`; ValueError if it is no such text.

    A text that is cut where no record ends, in a string or a nested list, has open ends, which do not decode.
    """
    text = text.strip()
    border = _BORDER.search(text) if text.startswith(b"{") else None
    if where is not None and border is not None:
        selected = where.select(text[1:-1], border[0])  # the same border everywhere in what one program has written
        text = b"{" + selected + b"}" if selected else b""
    return json.loads(f"[{text.decode()}]")


def _one_by_one(file: TextIO, path: Path) -> Iterator[dict[str, Any]]:
    """What follows the opening bracket, or a border."""
    decode = json.JSONDecoder().raw_decode
    buffer, position = file.read(_CHUNK), 0
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
        yield _object(record, path)


def _object(record: Any, path: Path) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise _broken(path, f"an element is {record!r}, not an object")
    return record


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
