"""What a large folder costs: time to the first result, and memory by the number of files.

    python benchmarks/folders.py [--files 1000,100000] [--planned 10000,1000000]
                                 [--entries 1000,1000000] [--model FILE]

The first table is of the command, over copies of a picture of 8×8 pixels: until its first result,
and its most memory by the 200th, when it is stopped. The second is of all but enlarging, over
empty files in folders of 100,000: a batch on this process writes an empty result and a line of the
ledger for each, and a second one finds them finished. Printed by the number of outcomes are the
processor seconds, those by the clock, and the memory that came to what the program had at first.
The third is of a ledger with so many entries, as runs write it: processor seconds until it is open,
the memory that it takes, and the time of one more entry and of one look-up.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

RESULTS = 200
POINTS = {1, 10_000, 50_000, *range(100_000, 1_000_001, 100_000)}
A_FOLDER = 100_000
MIB = 1 << (20 if sys.platform == "darwin" else 10)  # of ru_maxrss in one


def tell(line):
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_command(count, model):
    """Return seconds to the first result of so many files, and MiB by the 200th."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        source.mkdir()
        Image.new("RGB", (8, 8), "teal").save(source / "0.png")
        data = (source / "0.png").read_bytes()
        for number in range(1, count):
            (source / f"{number}.png").write_bytes(data)
        command = [sys.executable, "-m", "enhance_cli", "upscale", source, "-o", f"{folder}/out"]
        command += ["--model", model] if model else []
        unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
        started = time.perf_counter()
        run = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=unbuffered
        )
        run.stdout.readline()
        first = time.perf_counter() - started
        for _ in range(RESULTS - 1):
            run.stdout.readline()
        run.send_signal(signal.SIGKILL)
        _, _, used = os.wait4(run.pid, 0)
        run.returncode = -signal.SIGKILL
        run.stdout.close()
        return first, used.ru_maxrss / MIB


def names_of(count):
    """Yield names of files in folders; a list of a million would count as the child's memory."""
    return (f"{number // A_FOLDER}/IMG_{number % A_FOLDER:06}.jpg" for number in range(count))


def make_files(folder, count):
    """Make empty files in folders."""
    for number in range(-(-count // A_FOLDER)):
        Path(folder, str(number)).mkdir(parents=True)
    for name in names_of(count):
        os.close(os.open(f"{folder}/{name}", os.O_CREAT))


def follow(source, output):
    """Run a batch whose network is a stub that makes empty results, and print what it takes."""
    from enhance_cli.atomic import make_folder
    from enhance_cli.config import UpscaleOptions
    from enhance_cli.upscale import batch, work
    from enhance_cli.upscale.ledger import Noted, append_entry
    from enhance_cli.upscale.plan import Plan

    def pretend(job, *_):
        make_folder(job.target.parent)
        os.close(os.open(job.target, os.O_CREAT))
        time_of = os.stat(job.target).st_mtime_ns
        append_entry(job.ledger, job.result, Noted(job.made, job.name), 0, time_of)
        return work.Outcome(job.source, job.target)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, began = time.process_time(), time.perf_counter()
    with mock.patch.object(batch, "enlarge_anywhere", pretend):  # no Mock, which keeps all calls
        plan = Plan([source], output, UpscaleOptions(), {})
        execute = batch.one_after_another(plan.options, lambda: "engine", None)
        outcomes = batch.Batch(plan, plan.options, {}, lambda _: None).run(execute)
        skipped = 0
        for number, outcome in enumerate(outcomes, 1):
            if outcome.error:
                sys.exit(outcome.error)
            skipped += outcome.is_skipped
            if number in POINTS:
                after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                used, waited = time.process_time() - started, time.perf_counter() - began
                more = (after - before) / MIB
                tell(f"{number:9,}  {skipped:9,}  {used:12.2f}  {waited:11.1f}  {more:8.1f}")


def use_ledger(folder):
    """Open a ledger; return seconds, MiB, and microseconds for an entry and for a look-up."""
    from enhance_cli.upscale.ledger import Ledger, Noted, append_entry

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    ledger = Ledger(folder)
    opened = time.process_time() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    for number in range(1000):
        file = folder / ".enhance.jsonl"
        append_entry(file, f"new/{number}.jpg", Noted("0" * 32, "a"), 1, 1)
    added = time.process_time() - started
    started = time.process_time()
    for number in range(1000):
        ledger.names(f"0/IMG_{number * 7 % 1000:06}.jpg")
    found = time.process_time() - started
    return opened, (after - before) / MIB, added * 1e3, found * 1e3


def run_ledger(count):
    """Print what a ledger of so many entries takes."""
    with tempfile.TemporaryDirectory() as folder:
        with Path(folder, ".enhance.jsonl").open("w") as ledger:
            for number, name in enumerate(names_of(count)):
                line = {"name": name, "made": "0" * 32, "size": 123456, "time": 10**18 + number}
                ledger.write(f"\n{json.dumps(line | {'source': name})}\n")
        one = [sys.executable, __file__, "--use-ledger", folder]
        done = subprocess.run(one, check=True, capture_output=True, text=True)
        opened, more, added, found = map(float, done.stdout.split())
        tell(f"{count:9,}  {opened:8.2f}  {more:8.1f}  {added:12.0f}  {found:10.0f}")


def run_planned(count):
    """Print what a batch over so many files takes beside enlarging, and once more when finished."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "in"), Path(folder, "out")
        make_files(source, count)
        for state in ("new", "finished"):
            tell(f"{count:,} files, {state}")
            subprocess.run([sys.executable, __file__, "--follow", source, output], check=True)
        tell(f"the ledger has {Path(folder, '.out.enhance.jsonl').stat().st_size / 1e6:.1f} MB")


def main():
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", default="1000,100000")
    parser.add_argument("--planned", default="10000,1000000")
    parser.add_argument("--entries", default="1000,1000000")
    parser.add_argument("--model")
    parser.add_argument("--use-ledger", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--follow", nargs=2, type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.follow:
        follow(*chosen.follow)
        return
    if chosen.use_ledger:
        tell(" ".join(map(str, use_ledger(chosen.use_ledger))))
        return
    tell("    files  first, s  most MiB")
    for count in filter(None, chosen.files.split(",")):
        first, most = run_command(int(count), chosen.model)
        tell(f"{int(count):9,}  {first:8.1f}  {most:8.0f}")
    tell("\n outcomes    skipped  processor, s  by clock, s  MiB more")
    for count in filter(None, chosen.planned.split(",")):
        run_planned(int(count))
    tell("\n  entries  opens, s  MiB more  one entry, µs  look-up, µs")
    for count in filter(None, chosen.entries.split(",")):
        run_ledger(int(count))


if __name__ == "__main__":
    main()
