"""What `test_cache_features` shares with other tests."""

import hashlib

import numpy as np

KEY = {"schema": 1, "weights": {"digest": "aa"}, "layers": ["x"]}


UNTRAINED = {"schema": 1, "weights": {"digest": "bb", "untrained": "random:0"}}


def name(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def row(number, columns=5):
    return np.random.default_rng(number).standard_normal(columns, dtype=np.float32)


def rows(numbers, columns=5):
    return np.stack([row(number, columns) for number in numbers])


def write(store, numbers, key=KEY, called="clip", columns=5):
    with store.writer(called, key, {"origin": "a test"}) as writer:
        there = writer.stored_digests()
        new = [number for number in numbers if name(number) not in there]
        if new:
            writer.add([name(number) for number in new], rows(new, columns))
    return len(new)
