"""Time every implementation on every case: `python benchmarks/run.py [--quick] [--only NAME] [--out FILE]`.

Every implementation runs in a process of its own (`worker.py`). The processes of one case compile and warm up one
after another; then they take turns for several rounds, one working while the others wait, so that a slow minute of
the machine touches all of them. What compiles quickly starts a new process every round. A ratio is a peer's median
step over tfmeta's in the same round; the median over rounds is reported. Whoever
is over eight times slower than tfmeta in one case of a group, or over twice and compiled for more than 20 s, sits out
the group's later ones. Results of earlier runs in the same file are kept for cases that this run leaves out.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cases import CASES, QUICK
from benchmarks.implementations import IMPLEMENTATIONS, implementations_for
from benchmarks.machine import QUIET, ROOT, busy_seconds, machine_facts, write_json

FORMAT = 1
ATTEMPTS = 40
PAUSE_S = 3.0  # before a disturbed turn is repeated
# Who is this many times slower than tfmeta in one case of a group sits out the group's other cases; and who is LAME
# times slower after compiling for more than RESTART_S, which five inner steps make into many minutes.
HOPELESS, LAME = 8.0, 2.0
RESTART_S = 20  # who compiles faster gets a new process every round: processes of one program differ, too (30 % seen)


class Worker:
    """A worker process.

    Args:
        command: the command line.
        timeout: seconds that one round may take, compiling included.
    """

    def __init__(self, command, timeout):
        self.timeout = timeout
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed by `close`)
        # No GPU: the numbers are for a CPU, and the frameworks differ in what they would do with one.
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"},
        )

    def read(self):
        """The worker's next line, parsed.

        Raises:
            RuntimeError: if none comes in time, or it is not JSON.
        """
        ready, _, _ = select.select([self.process.stdout], [], [], self.timeout)
        line = self.process.stdout.readline() if ready else b""
        try:
            return json.loads(line)
        except json.JSONDecodeError:
            if ready and not line:
                self.process.wait()
            self.errors.seek(0)
            said = self.errors.read().strip()[-1000:]
            reason = said if ready else f"nothing after {self.timeout} s"
            raise RuntimeError(f"the worker gave no result: {reason} Received: line={line!r}") from None

    def again(self):
        """A further round, repeated while somebody else is using the machine; `others` says how much of it.

        A busy core does not slow all implementations alike: a framework that waits for all its threads at the end of
        every operation was seen a hundred times slower, one that hands out tasks 1.3 times.
        """
        for _ in range(ATTEMPTS):
            busy, start = busy_seconds(), time.perf_counter()
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
            said = self.read()
            if busy is None or "cpu_s" not in said:
                return said | {"others": None}
            others = busy_seconds() - busy - said["cpu_s"]
            said["others"] = round(max(0.0, others / (time.perf_counter() - start) / os.cpu_count()), 3)
            if said["others"] <= QUIET:
                break
            time.sleep(PAUSE_S)
        return said

    def close(self):
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            # A worker that died leaves an unread request in the pipe, which closing would try to deliver.
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def run_case(case, implementations, command_of, rounds, timeout, report=print):
    """Run one case.

    Args:
        case: the case.
        implementations: the implementations to run, tfmeta first.
        command_of: function of (implementation, case) to the worker's command line.
        rounds: how often the implementations take turns.
        timeout: seconds a round may take.
        report: called with a line of text per implementation.

    Returns:
        {"case", "implementations": name -> what the worker said, with `rounds_s` (a median per round),
        `median_s`, `steps_s` of all rounds, `ratio` to "tfmeta..." where there is one; or {"error": ...}}.
    """
    workers, results = {}, {}
    try:
        # Minutes of compiling by one thread each: side by side, and before the others.
        early = {i.name: Worker(command_of(i, case), timeout) for i in implementations if i.unrolled}
        workers |= early
        for implementation in sorted(implementations, key=lambda i: not i.unrolled):
            name = implementation.name
            workers[name] = early.get(name) or Worker(command_of(implementation, case), timeout)
            try:
                # The first round is only the last of the warm-up: the others were not there yet.
                results[name] = workers[name].read() | {"rounds_s": [], "steps_s": [], "others": []}
                report(f"  {name:30s} first call {results[name]['first_call_s']:7.1f} s")
            except RuntimeError as error:
                results[name] = {"error": str(error)}
                workers.pop(name).close()
                report(f"  {name:30s} failed: {error}")
        results = {i.name: results[i.name] for i in implementations}
        for turn in range(rounds):
            for name in [name for name in results if name in workers]:
                try:
                    if turn and results[name]["first_call_s"] < RESTART_S:
                        workers[name].close()
                        workers[name] = Worker(command_of(IMPLEMENTATIONS[name], case), timeout)
                        workers[name].read()
                    said = workers[name].again()
                except (RuntimeError, OSError) as error:
                    results[name] = {"error": str(error)}
                    workers.pop(name).close()
                    continue
                results[name]["rounds_s"].append(said["median_s"])
                results[name]["steps_s"] += said["steps_s"]
                results[name]["others"].append(said["others"])
                results[name]["peak_memory_mb"] = said["peak_memory_mb"]
    finally:
        for worker in workers.values():
            worker.close()
    _summarise(results, [i.name for i in implementations if i.ours])
    for name, result in results.items():
        if "error" not in result:
            ratio = f"{result['ratio']:6.2f} x tfmeta" if "ratio" in result else ""
            if max(share or 0 for share in result["others"]) > QUIET:
                ratio += "  DISTURBED: others used the machine"
            report(f"  {name:30s} {1e3 * result['median_s']:8.1f} ms  {result['peak_memory_mb']:7.0f} MB  {ratio}")
    return {"case": dataclasses.asdict(case), "implementations": results}


def _summarise(results, ours):
    """Add medians, and ratios to the first of ours that worked."""
    base = next((results[name]["rounds_s"] for name in ours if "rounds_s" in results.get(name, ())), None)
    for result in results.values():
        if "error" in result:
            continue
        result["median_s"] = statistics.median(result["rounds_s"])
        result["fastest_s"] = min(result["steps_s"])
        if base:
            # One round's time of a peer over ours in the same round.
            result["round_ratios"] = [r / b for r, b in zip(result["rounds_s"], base, strict=True)]
            result["ratio"] = statistics.median(result["round_ratios"])


def parse_arguments(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three small cases, one short round: a smoke")
    parser.add_argument("--only", action="append", metavar="NAME", help="an implementation, a case or a group; repeat")
    parser.add_argument("--out", type=Path, default=ROOT / "results/benchmarks.json")
    parser.add_argument("--peer-python", type=Path, default=ROOT / ".bench-venv/bin/python")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of steps in a round, for each implementation")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds until a silent worker is given up")
    args = parser.parse_args(arguments)
    if args.rounds < 1:
        parser.error(f"--rounds must be at least 1. Received: rounds={args.rounds}")
    cases = QUICK if args.quick else CASES
    known = set(IMPLEMENTATIONS) | {c.name for c in cases} | {c.group for c in cases}
    if unknown := set(args.only or ()) - known:
        parser.error(f"--only takes names among {', '.join(sorted(known))}. Received: only={sorted(unknown)}")
    if args.quick:
        args.rounds, args.seconds = 1, 0.3
    return args


def select_work(cases, only):
    """Pairs of (case, its implementations) that `--only` leaves; names of several kinds narrow each other."""
    only = set(only or ())
    by_case = {c.name for c in cases} | {c.group for c in cases}
    wanted_cases, wanted = only & by_case, only - by_case
    work = []
    for case in cases:
        chosen = [i for i in implementations_for(case) if not wanted or i.name in wanted]
        if chosen and (not wanted_cases or {case.name, case.group} & wanted_cases):
            work.append((case, chosen))
    return work


def drop_hopeless(case, implementations, results):
    """The implementations that a case is worth running for, and where the others were too slow.

    Args:
        case: the case.
        implementations: those that take part in it.
        results: what `run_case` returned; cases after this one in the list do not count.

    Returns:
        Pair of (list of implementations, name -> name of the case in which it was too slow).
    """
    order = [c.name for c in CASES + QUICK]
    before = set(order[: order.index(case.name)])
    slow = {
        name: result["case"]["name"]
        for result in results
        if result["case"]["group"] == case.group and result["case"]["name"] in before
        for name, found in result["implementations"].items()
        if found.get("ratio", 0.0) > (LAME if found.get("first_call_s", 0.0) > RESTART_S else HOPELESS)
    }
    return [i for i in implementations if i.name not in slow], {
        i.name: slow[i.name] for i in implementations if i.name in slow
    }


def _command(args):
    """What was called, without the places on this machine, and without `--only`: the file outlives such a part."""
    quick = " --quick" if args.quick else f" --rounds {args.rounds} --seconds {args.seconds:g}"
    return f"python benchmarks/run.py{quick}"


def main():
    """Run the benchmark and write the file, after every case."""
    args = parse_arguments()

    def command_of(implementation, case):
        python = sys.executable if implementation.framework == "tensorflow" else args.peer_python
        options = ["--hold", "--seconds", args.seconds]
        return [python, ROOT / "benchmarks/worker.py", implementation.name, case.to_json(), *options]

    content = {"format": FORMAT, "results": []}
    if args.out.exists():
        content = json.loads(args.out.read_text(encoding="utf-8"))
    content |= {
        "machine": machine_facts(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": _command(args),
        "rounds": args.rounds,
        "seconds": args.seconds,
    }
    start = time.perf_counter()
    for case, implementations in select_work(QUICK if args.quick else CASES, args.only):
        print(case.name, flush=True)
        implementations, left_out = drop_hopeless(case, implementations, content["results"])
        result = run_case(
            case, implementations, command_of, args.rounds, args.timeout, report=lambda line: print(line, flush=True)
        )
        result["left_out"] = left_out
        old = next((r for r in content["results"] if r["case"]["name"] == case.name), None)
        if old and args.only and old["case"] == result["case"] and not result["implementations"].get("tfmeta"):
            # A run of some peers only adds to what is there; their ratios need a run together with tfmeta.
            result["implementations"] = old["implementations"] | result["implementations"]
        order = [c.name for c in QUICK + CASES]
        kept = [r for r in content["results"] if r["case"]["name"] != case.name and r["case"]["name"] in order]
        content["results"] = sorted([*kept, result], key=lambda r: order.index(r["case"]["name"]))
        write_json(args.out, content)
    print(f"{time.perf_counter() - start:.0f} s; written to {args.out}")


if __name__ == "__main__":
    main()
