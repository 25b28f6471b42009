"""A log that TensorBoard shows, written without TensorBoard or TensorFlow.

The writers of TensorFlow and PyTorch would load their frameworks, which crash beside each other in one process. The
format is small: a file of records, each of them a length, a protocol buffer and checksums (TensorFlow's TFRecord), and
of the buffer ``Event`` only the fields that a scalar needs.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from LaminaLabelingLib.atomic import atomic_path

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), reflected
_MASK = 0xA282EAD8


class EventLog:
    """Scalars of a training run, one step an epoch.

    A file that exists is written anew from the history, so that neither an epoch that is repeated after a crash nor a
    record that was cut off stays in it. After that it only grows, which TensorBoard can follow while it is written.

    Parameters
    ----------
    path : Path
        Its name must contain "tfevents", by which TensorBoard knows such files.
    history : sequence of mapping
        Rows of the epochs that the run already has.
    """

    def __init__(self, path: Path, history: Sequence[Mapping[str, float]] = ()) -> None:
        self.path = path
        now = time.time()
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            file.write(_record(_double(1, now) + _bytes(3, b"brain.Event:2")))
            for index, row in enumerate(history):
                # When the epoch ended, by what the later ones took; a pause in between is not known.
                later = sum(other["seconds"] for other in history[index + 1 :])
                file.write(_record(_event(row, now - later)))

    def append(self, row: Mapping[str, float]) -> None:
        """Add an epoch: each value but its number becomes a scalar of that name."""
        with open(self.path, "ab") as file:
            file.write(_record(_event(row, time.time())))

    def remove(self) -> None:
        """Delete the file of a run that has no epoch."""
        self.path.unlink(missing_ok=True)


def _event(row: Mapping[str, float], moment: float) -> bytes:
    """Encode an ``Event``: wall_time = 1, step = 2, summary = 5 with value = 1 of tag = 1 and simple_value = 2."""
    scalars = b"".join(
        _bytes(1, _bytes(1, name.encode()) + _key(2, 5) + struct.pack("<f", value))
        for name, value in row.items()
        if name != "epoch"
    )
    return _double(1, moment) + _key(2, 0) + _varint(int(row["epoch"])) + _bytes(5, scalars)


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _double(field: int, value: float) -> bytes:
    return _key(field, 1) + struct.pack("<d", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C that TFRecord files use."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (_POLYNOMIAL if remainder & 1 else 0)
    remainder ^= 0xFFFFFFFF
    return struct.pack("<I", ((remainder >> 15 | remainder << 17) + _MASK) & 0xFFFFFFFF)
