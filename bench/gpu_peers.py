#!/usr/bin/env python3
# Puts noyau-bench's cases on a GPU beside PyTorch (eager and compiled), CuPy and JAX, in turn; writes JSON and a Markdown table.
# SPDX-License-Identifier: Apache-2.0
"""Times the cases of noyau-bench on a GPU beside PyTorch, torch.compile, CuPy and JAX.

All take turns, A B C A B C ..., each in a process of its own, so that one that fails, hangs or is not
installed is left out and the rest goes on. Around every turn PyTorch measures the machine: a copy, a
fill and a bf16 matrix product. Calls are enqueued many at a time and waited for once.

The table has the median time of each in ms, and the median over the rounds of (its time / Noyau's time
in the same round): above 1 Noyau is faster. 'of limit' is the share of what a copy by the device's own
queue reaches, which noyau-bench measures beside each case. Both files are written anew after every
case: what is there when time runs out is whole.
"""
import argparse
import json
import math
import os
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers

PEERS = {"PyTorch": (peers.Torch, False), "torch.compile": (peers.Torch, True), "CuPy": (peers.CuPy, False),
         "JAX": (peers.Jax, True)}
# What the GPU table of the targets names comes first; what is left out is what no GPU is asked for.
FIRST = ["copy", "fill", "saxpy", "chain20", "blackscholes", "sum", "rowsum", "colsum", "softmax", "layernorm", "transpose"]
LEFT_OUT = {"mandelbrot", "chain10", "exp", "sin"}
BATCH_MS = 30.0


# ---- a peer's process

def batch_ms(lib, function, inputs, calls, batch):
    """Milliseconds of one call; `calls` are waited for one by one, or else a batch at its end."""
    result, start = None, time.perf_counter()
    for _ in range(max(calls, batch)):
        result = function(*inputs)
        if calls > 1:
            lib.sync(result)
    lib.sync(result)
    return 1e3 * (time.perf_counter() - start) / max(calls, batch)


def measure(lib, function, inputs, calls, repeat):
    function_ms = batch_ms(lib, function, inputs, calls, 1)
    batch = 1 if calls > 1 else int(min(max(BATCH_MS / function_ms, 1), 200))
    return statistics.median(batch_ms(lib, function, inputs, calls, batch) for _ in range(repeat))


def probe(lib, sizes, kept):
    """GB/s of a copy (read and written) and a fill, TFLOP/s of a bf16 product."""
    if not kept:
        m, n = lib.m, sizes.elements
        x, y = lib.normal(n), lib.normal(n)
        a, b = (lib.normal(sizes.bf16, sizes.bf16).to(m.bfloat16) for _ in range(2))
        kept += [(lambda: x.copy_(y)), (lambda: x.zero_()), (lambda: a @ b)]
    amounts = (8e-6 * sizes.elements, 4e-6 * sizes.elements, 2e-9 * sizes.bf16 ** 3)
    names = ("copy_gb_s", "fill_gb_s", "bf16_tflop_s")
    return {name: amount / measure(lib, f, [], 1, 3) for name, amount, f in zip(names, amounts, kept)}


def serve(title, options):
    """Answers one line of JSON with one line of JSON, until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    adapter, compiled = PEERS[title]
    sizes, made, kept = peers.SIZES[options.sizes], None, []
    lib = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if lib is None:
                lib = adapter(options.peer_device, options.threads, compiled)
            if "make" in asked:
                made = None
                made = peers.make(asked["make"], lib, sizes)
                if made:
                    lib.sync(made[0](*made[1]))  # the first run is no measurement
                answer = {"has": bool(made), "version": lib.version}
            elif "probe" in asked:
                answer = probe(lib, sizes, kept)
            else:
                answer = {"ms": measure(lib, *made, asked["repeat"])}
        except Exception as error:  # whatever a library throws
            answer = {"failed": f"{type(error).__name__}: {str(error).strip()[:300]}"}
        print(json.dumps(answer), file=answers, flush=True)


# ---- our side

class Player:
    """A process that answers lines of JSON; one that dies or takes too long is started anew for the next case."""

    def __init__(self, command, log):
        self.command, self.log, self.process = command, log, None

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)

    def send(self, question):
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its answer will be missing

    def receive(self, seconds):
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(max(seconds, 0)):
                self.stop()
                return {"failed": f"no answer in {max(seconds, 0):.0f} s"}
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        code = self.stop()
        return {"failed": f"its process ended with {code}"}

    def ask(self, question, seconds):
        self.send(question)
        return self.receive(seconds)

    def stop(self):
        if self.process is None:
            return None
        try:
            code = self.process.wait(0.5)  # when it has closed its output, why
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process = None
        return code


def peer(title, options):
    return Player([sys.executable, __file__, "--serve", title, "--sizes", options.sizes, "--peer-device",
                   options.peer_device, "--threads", str(options.threads)], options.log)


class Noyau(Player):
    """noyau-bench, a process for each case."""

    def __init__(self, name, options):
        self.errors = tempfile.TemporaryFile("w+")
        super().__init__([options.bench, "--device", options.device, "--sizes", options.sizes, "--case", name, "--threads",
                          str(options.threads), "--repeat", str(options.repeat), "--turns"], self.errors)
        self.start()

    def receive(self, seconds):
        line = super().receive(seconds)
        if "failed" in line:
            self.errors.seek(0)
            said = self.errors.read().strip().splitlines()
            line["failed"] += f": {said[-1][:400]}" if said else ""
        return line


def run_case(name, libraries, versions, options, seconds):
    """One case's row: everybody's times by round."""
    end = time.monotonic() + seconds
    left = lambda: end - time.monotonic()
    row = {"case": name, "noyau": [], "peers": {}, "probes": [], "problems": {}}
    ours = Noyau(name, options)
    for player in libraries.values():  # all get ready at the same time
        player.send({"make": name})
    line = ours.receive(left())  # times itself before the others are ready: no part of the rounds
    for title, player in libraries.items():
        answer = player.receive(left() - options.round_seconds)
        if answer.get("has"):
            row["peers"][title], versions[title] = [], answer["version"]
        elif "failed" in answer:
            row["problems"][title] = answer["failed"]
    for done in range(options.rounds):
        if "failed" in line or (done > 0 and left() <= options.round_seconds):
            break  # the rounds so far are a result
        if "PyTorch" in row["peers"]:
            row["probes"].append(libraries["PyTorch"].ask({"probe": True}, options.round_seconds))
        line = ours.ask({}, max(left(), options.round_seconds))
        if "failed" in line:
            break
        row["noyau"].append(line)
        for title in list(row["peers"]):
            answer = libraries[title].ask({"repeat": options.repeat}, options.round_seconds)
            if "failed" in answer:
                row["problems"][title] = answer["failed"]
                del row["peers"][title]
            else:
                row["peers"][title].append(answer["ms"])
    ours.stop()
    if "failed" in line:
        row["problems"]["Noyau"] = line["failed"]
    elif line["error"] is None or line["error"] > 0.02:
        row["problems"]["Noyau"] = f"a wrong result: it differs from float64 by {line['error']} of the largest value"
    return row


# ---- the table

def number(x):
    return "" if x is None or not math.isfinite(x) else f"{x:.4g}"


def middle(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def table(rows, titles):
    head = ["case", "Noyau ms", "of limit", "kernels"] + [h for t in titles for h in (f"{t} ms", f"{t} / Noyau")]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        ours = [line["ms"] for line in row["noyau"]]
        cells = [row["case"], number(middle(ours)), number(middle([line["limit_over_ms"] for line in row["noyau"]])),
                 str(row["noyau"][0]["kernels"]) if ours else row["problems"].get("Noyau", "")[:80].replace("|", "/")]
        for title in titles:
            times = row["peers"].get(title, [])
            cells += [number(middle(times)), number(middle([b / a for a, b in zip(ours, times)]))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def style_lines(rows, titles):
    lines = []
    for row in rows:
        if not row["case"].startswith("style") or not row["noyau"]:
            continue
        rates = {"Noyau": [line["ms"] for line in row["noyau"]], **row["peers"]}
        told = ", ".join(f"{t} {1e3 / middle(v):.4g}" for t, v in rates.items() if v)
        lines.append(f"- {row['case']}, iterations a second: {told}")
    return lines


def write(options, rows, notes, versions):
    titles = [t for t in PEERS if any(row["peers"].get(t) for row in rows)]
    probes = [p for row in rows for p in row["probes"] if "failed" not in p]
    about = {"device": options.device, "sizes": options.sizes, "rounds": options.rounds,
             "versions": versions,
             "probes": {key: middle([p[key] for p in probes]) for key in (probes[0] if probes else {})}}
    problems = [f"- {row['case']}, {who}: {why}" for row in rows for who, why in row["problems"].items()]
    text = [f"# Noyau on {options.device} beside its peers, sizes {options.sizes}", ""]
    text += [f"- {t}: {v}" for t, v in about["versions"].items()]
    text += [f"- probe {key}: {number(value)}" for key, value in about["probes"].items()]
    text += ["", *table(rows, titles), "", *style_lines(rows, titles), *notes, *problems, ""]
    for path, content in ((options.json, json.dumps({**about, "rows": rows}, indent=1)), (options.md, "\n".join(text))):
        scratch = Path(str(path) + ".new")
        scratch.write_text(content)
        scratch.replace(path)


def arguments():
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default=str(here / "build/gpu/bin/noyau-bench"), help="the program to time (default: %(default)s)")
    parser.add_argument("--device", default="cuda:0", help="Noyau's device (default: %(default)s)")
    parser.add_argument("--peer-device", default="cuda", choices=["cuda", "cpu"], help="the peers' (default: %(default)s)")
    parser.add_argument("--sizes", default="gpu", choices=list(peers.SIZES), help="of the cases (default: %(default)s)")
    parser.add_argument("--case", metavar="A,B", help="cases to run (default: all)")
    parser.add_argument("--peers", metavar="A,B", default=",".join(PEERS), help="who takes part (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="timings in each turn (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=360, help="for all; cases that find no time are named (default: %(default)s)")
    parser.add_argument("--case-seconds", type=float, default=45, help="for one case (default: %(default)s)")
    parser.add_argument("--round-seconds", type=float, default=10, help="for one turn in it (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=min(16, len(os.sched_getaffinity(0))), help="of the CPU's parts")
    parser.add_argument("--json", default="gpu_peers.json", help="default: %(default)s")
    parser.add_argument("--md", default="gpu_peers.md", help="default: %(default)s")
    parser.add_argument("--log", default=os.devnull, help="what the peers print")
    parser.add_argument("--serve", choices=list(PEERS), help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = arguments()
    if options.serve:
        return serve(options.serve, options)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(options.threads))
    end = time.monotonic() + options.seconds
    listed = subprocess.run([options.bench, "--sizes", options.sizes, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    known = [line.split()[0] for line in listed.stdout.splitlines()]
    names = options.case.split(",") if options.case else sorted(
        (k for k in known if k not in LEFT_OUT), key=lambda k: FIRST.index(k) if k in FIRST else len(FIRST) + ("style" not in k))
    rows, notes, versions = [], [], {}
    with open(options.log, "a", encoding="utf-8") as log:
        options.log = log
        libraries = {title: peer(title, options) for title in options.peers.split(",") if title}
        try:
            for done, name in enumerate(names):
                seconds = min(options.case_seconds * (2 if name.startswith("style") else 1), end - time.monotonic())
                if seconds < 2 * options.round_seconds:
                    notes.append(f"- not run, for lack of time: {', '.join(names[done:])}")
                    break
                rows.append(run_case(name, libraries, versions, options, seconds))
                write(options, rows, notes, versions)
                print("\n".join(table(rows[-1:], list(PEERS))[2:]), flush=True)
                for title in [t for t in rows[-1]["problems"] if t in libraries and t not in versions]:
                    notes.append(f"- {title} is left out: {rows[-1]['problems'].pop(title)}")
                    libraries.pop(title).stop()
        finally:
            write(options, rows, notes, versions)
            for player in libraries.values():
                player.stop()
    return 1 if any("Noyau" in row["problems"] for row in rows) or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
