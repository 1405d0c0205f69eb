"""GGUF files written by hand."""

import struct

import numpy as np


def string(text):
    """Return a string as a GGUF file has it."""
    return struct.pack("<Q", len(text.encode())) + text.encode()


def tiny_file():
    """Return a GGUF file of three fields and three tensors, written by hand."""
    rng = np.random.default_rng(7)
    plain = rng.normal(size=(3, 5)).astype("<f4")
    scales = np.array([0.5, -2.0], dtype="<f2")
    eight = b"".join(scale.tobytes() + bytes(range(100, 132)) for scale in scales)
    four = b"".join(scale.tobytes() + np.array([1.5], "<f2").tobytes() + bytes(range(7, 23)) for scale in scales)
    fields = [
        string("general.name") + struct.pack("<I", 8) + string("naïve"),
        string("layers") + struct.pack("<II", 4, 30),
        string("pieces") + struct.pack("<IIQ", 9, 8, 2) + string("Ġa") + string("b"),
    ]
    tensors, data = [], b""
    for name, shape, kind, numbers in (
        ("plain", (3, 5), 0, plain.tobytes()),
        ("eight", (2, 32), 8, eight),
        ("four", (1, 64), 3, four),
    ):
        axes = struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape[::-1])
        tensors.append(string(name) + axes + struct.pack("<IQ", kind, len(data)))
        data += numbers + b"\0" * (-len(numbers) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields)) + b"".join(fields + tensors)
    return head + b"\0" * (-len(head) % 32) + data, plain
