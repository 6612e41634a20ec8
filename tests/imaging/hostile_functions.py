"""What a reader could do to its process when a file makes it; run in guarded children alone, so without pytest."""

import os
import signal
import sys
import time

import numpy as np

from medgan.errors import GeometryError, ReadError


def loop():
    while True:
        pass


def sleep_deaf(seconds):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(seconds)


def allocate(count):
    return np.ones(count, dtype=np.uint8).size


def allocate_and_blame_the_file():
    try:
        return bytearray(2**40)
    except MemoryError as error:
        raise ReadError("R005", "damaged") from error


def segfault():
    os.kill(os.getpid(), signal.SIGSEGV)


def die(name):
    os.kill(os.getpid(), getattr(signal, name))


def leave():
    os._exit(3)


def quote_the_header():
    raise KeyError("DOE^JOHN 19500101")


def recurse(depth):
    return recurse(depth + 1) + recurse(depth + 2)


def refuse():
    raise GeometryError("G010", "the affine is not finite", where="a.nii", got="nan")


def write_to_the_terminal():
    os.write(1, b"native noise")
    os.write(2, b"native noise")
    sys.stdout.write("noise")
    return "quiet"


def modules():
    return sorted(sys.modules)


def process():
    return os.getpid()


def doubled(array, extra):
    return {"array": array * 2, "extra": extra}


def unpicklable():
    return lambda: None
