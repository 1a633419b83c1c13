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
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import peers


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
    for title, adapter in (("NumPy", peers.Numpy), ("PyTorch", peers.Torch)):
        try:
            libraries[title] = adapter("cpu", options.threads, options.compile)
        except ImportError as error:
            print(f"compare.py: {title} is left out ({error}); install it with pip", file=sys.stderr)
    listed = subprocess.run([options.bench, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    known = [line.split()[0] for line in listed.splitlines()]
    wanted = options.case.split(",") if options.case else [k for k in known if k not in ("compile", "mandelbrot")]
    if unknown := [name for name in wanted if name not in known]:
        sys.exit(f"compare.py: there is no case {', '.join(unknown)}; there are {', '.join(known)}")

    print("| case | Noyau ms | limit |" + "".join(f" {t} ms | {t} / Noyau |" for t in libraries))
    print("|---|---|---|" + "---|---|" * len(libraries))
    for name in wanted:
        found = {t: made for t, lib in libraries.items() if (made := peers.make(name, lib, peers.SIZES["cpu"]))}
        for function, inputs, _ in found.values():
            function(*inputs)  # the first run is no measurement
        ours, limits, theirs = [], [], {t: [] for t in found}
        for _ in range(max(1, options.rounds)):
            line = noyau(options.bench, name, options.threads, options.repeat)
            ours.append(line["ms"])
            limits.append(line["ms"] / line["limit_ms"] if line["limit_ms"] else None)
            for title, made in found.items():
                theirs[title].append(milliseconds(*made, options.repeat))
        limit = f"{statistics.median(limits):.2f}" if None not in limits else ""
        row = f"| {name} | {statistics.median(ours):.4g} | {limit} |"
        for title in libraries:
            times = theirs.get(title)
            ratio = statistics.median(b / a for a, b in zip(ours, times)) if times else 0
            row += f" {statistics.median(times):.4g} | {ratio:.2f} |" if times else " | |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
