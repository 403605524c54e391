"""Memory that is kept from step to step: asked of the C library, and given back."""

import os
import platform
import subprocess
import sys
import threading

import pytest

from opsin import allocation
from opsin.allocation import give_back_large, memory_kept

GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc can be asked")


@pytest.fixture(autouse=True)
def without_settings_of_the_users(monkeypatch):
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.delenv("LD_PRELOAD", raising=False)


class Library:
    def __init__(self):
        self.asked = []

    def mallopt(self, what, value):
        self.asked.append((what, value))

    def malloc_trim(self, pad):
        self.asked.append("trim")


@pytest.fixture
def library(monkeypatch):
    library = Library()
    monkeypatch.setattr(allocation, "_glibc", lambda: library)
    return library


def test_large_arrays_stay_with_the_process_until_the_last_block_ends(library):
    with memory_kept():
        kept = list(library.asked)
        with memory_kept():
            pass
        assert library.asked == kept

    assert (-4, 0) in kept
    assert (-1, 2**31 - 1) in kept
    assert library.asked[len(kept) :] == [(-4, 65_536), (-1, 131_072), (-2, 131_072), "trim"]


def test_an_error_gives_it_back_too(library):
    with pytest.raises(RuntimeError), memory_kept():
        raise RuntimeError

    assert library.asked[-1] == "trim"


def test_blocks_of_several_threads_end_when_the_last_one_does(library):
    inside, leave = threading.Barrier(2), threading.Event()

    def other():
        with memory_kept():
            inside.wait(30)
            leave.wait(30)

    thread = threading.Thread(target=other)
    thread.start()
    with memory_kept():
        inside.wait(30)
    assert "trim" not in library.asked
    leave.set()
    thread.join()
    assert library.asked[-1] == "trim"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_ARENA_MAX", "1"),
        ("GLIBC_TUNABLES", "glibc.malloc.mmap_max=0"),
        ("LD_PRELOAD", "/usr/lib/libjemalloc.so.2"),
    ],
)
def test_settings_of_the_users_own_stand(library, monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    with memory_kept():
        pass

    assert library.asked == []


@GLIBC
def test_a_network_that_is_freed_is_given_back():
    """In a process of its own: once blocks of such a size have been freed, the C library would keep the next."""
    script = """
import re
from pathlib import Path
import numpy as np
from opsin.allocation import give_back_large

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

give_back_large()
np.ones(30 * 2**20, np.uint8)
weights, behind = np.ones(30 * 2**20, np.uint8), np.ones(2**20, np.uint8)
before = resident()
del weights
print(before - resident())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert int(done.stdout) > 25


@GLIBC
def test_a_servers_pictures_come_from_memory_that_it_has_even_in_threads():
    """In a process of its own; a block of a picture's size, which is no large one."""
    script = """
import resource
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from opsin.allocation import give_back_large

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(600 * 1024, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

give_back_large()
with ThreadPoolExecutor(1) as pool:
    pool.submit(faults).result()
    print(pool.submit(faults).result())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert int(done.stdout) < 20


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(allocation, "_glibc", lambda: None)

    with memory_kept():
        pass
    give_back_large()


@GLIBC
def test_arrays_that_are_made_again_and_again_cost_no_page_faults():
    """In a process of its own, whose heap nobody else has a share in."""
    script = """
import resource
import numpy as np
from opsin.allocation import memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(40 * 2**20 // 8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = faults()
with memory_kept():
    np.ones(40 * 2**20 // 8)
    kept = faults()
print(plain, kept, faults())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    plain, kept, after = map(int, done.stdout.split())

    assert kept < plain / 10
    assert after > plain / 2
