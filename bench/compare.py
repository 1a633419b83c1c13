#!/usr/bin/env python3
# Puts noyau-bench's cases beside NumPy and PyTorch, in turn, and prints a Markdown table.
# SPDX-License-Identifier: Apache-2.0
"""Times the cases of noyau-bench beside NumPy and PyTorch on this machine's CPU.

All take turns, A B C A B C ..., so that what slows the machine down slows all of them. The table
shows each one's median time in ms, and the median over the rounds of (its time / Noyau's time in
the same round): above 1 Noyau is faster. 'limit' is Noyau's time over the time that the machine
needs at least, which noyau-bench measures beside each case.

Peers write the case as their users would: NumPy's expressions, PyTorch's functions without
gradients. Results are made anew each time, as Noyau's are. Inputs have the same shapes,
distributions and dtype (float32), from each library's own generator; nobody gets zeros.
"""
import argparse
import functools
import importlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

N, M = 1 << 24, 4096


class Numpy:
    """How NumPy makes inputs and spells what differs from PyTorch."""

    def __init__(self, module, threads, compiled):
        self.m, self.random = module, module.random.default_rng(1)
        self.wrap = lambda f: f
        self.uniform = lambda shape, low, high: self.random.uniform(low, high, shape).astype(module.float32)
        self.normal = lambda *shape: self.random.standard_normal(shape, dtype=module.float32)
        self.row_sums = lambda x: x.sum(axis=1)
        self.transpose = lambda x: module.ascontiguousarray(x.T)
        self.conv = None  # NumPy has none

    def softmax(self, x):
        e = self.m.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)


class Torch:
    """The same for PyTorch."""

    def __init__(self, module, threads, compiled):
        self.m = module
        module.manual_seed(1)
        module.set_num_threads(threads)
        module.set_grad_enabled(False)
        self.wrap = module.compile if compiled else lambda f: f
        self.uniform = lambda shape, low, high: module.empty(shape).uniform_(low, high)
        self.normal = lambda *shape: module.randn(shape)
        self.softmax = lambda x: module.softmax(x, 1)
        self.row_sums = lambda x: x.sum(1)
        self.transpose = lambda x: x.t().contiguous()

    def conv(self, channels, side, back):
        x = self.normal(1, channels, side, side)
        w = self.normal(channels, channels, 3, 3) / channels
        if back:
            gradient = self.m.nn.grad.conv2d_input
            return (lambda dy: gradient(x.shape, w, dy, padding=1)), [x]
        return (lambda y: self.m.nn.functional.conv2d(y, w, padding=1)), [x]


def chain10(m, x, y):
    t = m.sqrt(x * y + x) - y
    t = x / (t * t + 1.0) + y
    return m.sqrt(t) * 0.5


def call_price(m, s, k, t):
    def cumulative(x):
        return 0.5 + 0.5 * m.tanh(0.79788456 * (x + 0.044715 * x * x * x))

    v = 0.3 * m.sqrt(t)
    d = (m.log(s / k) + 0.065 * t) / v
    return s * cumulative(d) - k * m.exp(-0.02 * t) * cumulative(d - v)


def make(name, lib):
    """A case's function, its inputs and the calls in one timing; None: this library has no such thing."""
    m = lib.m
    many = lambda low, high: lib.uniform((N,), low, high)
    square = lambda side: lib.normal(side, side)
    simple = {
        "saxpy": lambda: (lambda x, y: 2.5 * x + y, [lib.normal(N), lib.normal(N)], 1),
        "chain10": lambda: (functools.partial(chain10, m), [many(0.5, 1.5), many(0.5, 1.5)], 1),
        "exp": lambda: (m.exp, [many(-5, 5)], 1),
        "sin": lambda: (m.sin, [many(-10, 10)], 1),
        "blackscholes": lambda: (functools.partial(call_price, m), [many(10, 50), many(10, 50), many(0.2, 2)], 1),
        "sum": lambda: (m.sum, [many(-1, 2)], 1),
        "rowsum": lambda: (lib.row_sums, [lib.uniform((M, M), -1, 2)], 1),
        "softmax": lambda: (lib.softmax, [square(M)], 1),
        "transpose": lambda: (lib.transpose, [square(M)], 1),
        "dispatch": lambda: (lambda x, y: x + y, [lib.uniform((1,), 0, 1), lib.uniform((1,), 0, 1)], 10000),
    }
    if name in simple:
        return simple[name]()
    if found := re.fullmatch(r"sgemm(\d+)", name):
        return m.matmul, [square(int(found[1])), square(int(found[1]))], 1
    if (found := re.fullmatch(r"conv(back)?(64|256|512)", name)) and lib.conv:
        side = {"64": 224, "256": 56, "512": 28}[found[2]]
        return (*lib.conv(int(found[2]), side, bool(found[1])), 1)
    return None


def milliseconds(function, inputs, calls, repeat):
    """The median time of a call."""
    times, spent = [], 0.0
    while len(times) < (repeat or 5) or (not repeat and spent < 0.3 and len(times) < 200):
        start = time.perf_counter()
        for _ in range(calls):
            function(*inputs)
        took = time.perf_counter() - start
        spent += took
        times.append(1e3 * took / calls)
    return statistics.median(times)


def noyau(binary, name, threads, repeat):
    """The line of noyau-bench for one case."""
    command = [binary, "--case", name, "--threads", str(threads), "--repeat", str(repeat)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"compare.py: {' '.join(command)} failed")
    return json.loads(done.stdout)


def arguments():
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", metavar="A,B", help="cases to run (default: all that a peer can do); "
                        "noyau-bench --list names them")
    parser.add_argument("--bench", metavar="PATH", default=str(here / "build/release/bin/noyau-bench"),
                        help="the program to time (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=min(64, len(os.sched_getaffinity(0))),
                        help="threads of each library (default: %(default)s, as many as this process may use)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each library (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=0,
                        help="runs in each turn (default: at least 5 to 7, a third to half a second)")
    parser.add_argument("--compile", action="store_true", help="let PyTorch compile each case (torch.compile)")
    return parser.parse_args()


def main():
    options = arguments()
    if not os.access(options.bench, os.X_OK):
        sys.exit(f"compare.py: there is no program {options.bench}: build it with 'cmake --preset release && "
                 "cmake --build --preset release', or name it with --bench")
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(options.threads)  # read when the libraries load
    libraries = {}
    for title, module, adapter in (("NumPy", "numpy", Numpy), ("PyTorch", "torch", Torch)):
        try:
            libraries[title] = adapter(importlib.import_module(module), options.threads, options.compile)
        except ImportError as error:
            print(f"compare.py: {title} is left out ({error}); install it: pip install {module}", file=sys.stderr)
    listed = subprocess.run([options.bench, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    known = [line.split()[0] for line in listed.splitlines()]
    wanted = options.case.split(",") if options.case else [k for k in known if k not in ("compile", "mandelbrot", "style_squeeze")]
    if unknown := [name for name in wanted if name not in known]:
        sys.exit(f"compare.py: there is no case {', '.join(unknown)}; there are {', '.join(known)}")

    print("| case | Noyau ms | limit |" + "".join(f" {t} ms | {t} / Noyau |" for t in libraries))
    print("|---|---|---|" + "---|---|" * len(libraries))
    for name in wanted:
        peers = {t: made for t, lib in libraries.items() if (made := make(name, lib))}
        functions = {t: libraries[t].wrap(made[0]) for t, made in peers.items()}
        for title, (_, inputs, _) in peers.items():
            functions[title](*inputs)  # the first run is no measurement
        ours, limits, theirs = [], [], {t: [] for t in peers}
        for _ in range(max(1, options.rounds)):
            line = noyau(options.bench, name, options.threads, options.repeat)
            ours.append(line["ms"])
            limits.append(line["ms"] / line["limit_ms"] if line["limit_ms"] else None)
            for title, (_, inputs, calls) in peers.items():
                theirs[title].append(milliseconds(functions[title], inputs, calls, options.repeat))
        limit = f"{statistics.median(limits):.2f}" if None not in limits else ""
        row = f"| {name} | {statistics.median(ours):.4g} | {limit} |"
        for title in libraries:
            times = theirs.get(title)
            ratio = statistics.median(b / a for a, b in zip(ours, times)) if times else 0
            row += f" {statistics.median(times):.4g} | {ratio:.2f} |" if times else " | |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
