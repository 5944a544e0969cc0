"""What a large folder costs: time to the first result, and memory by the number of files.

    python benchmarks/folders.py [--files 1000,100000] [--planned 10000,1000000] [--model FILE]

The first table is of the command, over copies of a picture of 8×8 pixels: until its first result,
and its most memory by the 200th, when it is stopped. The second is of all but enlarging, over
empty files in folders of 100,000, first new, then finished and noted in a ledger: processor seconds
until the first outcome and in all, and the memory that came to what the program had at first.
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


def make_files(folder, count):
    """Make empty files in folders; return their names."""
    names = [f"{number // A_FOLDER}/IMG_{number % A_FOLDER:06}.jpg" for number in range(count)]
    for number in range(-(-count // A_FOLDER)):
        Path(folder, str(number)).mkdir(parents=True)
    for name in names:
        os.close(os.open(f"{folder}/{name}", os.O_CREAT))
    return names


def follow(source, output):
    """Run a batch without enlarging; return seconds to the first outcome, in all, and MiB."""
    from enhance_cli.config import UpscaleOptions
    from enhance_cli.upscale import batch, work
    from enhance_cli.upscale.plan import Plan

    def pretend(job, *_):
        return work.Outcome(job.source, job.target)

    def same(*_):
        return "0" * 32

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    with (
        mock.patch.object(batch, "fingerprint", same),  # no Mock, which would keep all calls
        mock.patch.object(batch, "enlarge_file", pretend),
    ):
        plan = Plan([source], output, UpscaleOptions(), {})
        execute = batch.one_after_another(plan.options, lambda: "engine", None)
        outcomes = batch.Batch(plan, plan.options, {}, lambda _: None).run(execute)
        next(outcomes)
        first = time.process_time() - started
        failed = sum(outcome.error is not None for outcome in outcomes)
    if failed:
        sys.exit(f"{failed} files failed")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return first, time.process_time() - started, (after - before) / MIB


def run_planned(count, is_finished):
    """Print what a batch over so many files takes beside enlarging."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "in"), Path(folder, "out")
        names = make_files(source, count)
        if is_finished:
            make_files(output, count)
            with Path(output, ".enhance.jsonl").open("w") as ledger:
                for name in names:
                    time_of = os.stat(f"{output}/{name}").st_mtime_ns
                    line = {"name": name, "made": "0" * 32, "size": 0, "time": time_of}
                    ledger.write(f"\n{json.dumps(line | {'source': name})}\n")
        del names
        # A process of its own, whose memory has not held the names.
        one = [sys.executable, __file__, "--follow", source, output]
        done = subprocess.run(one, check=True, capture_output=True, text=True)
        first, seconds, more = map(float, done.stdout.split())
        state = "finished" if is_finished else "new"
        tell(f"{count:9,}  {state:8}  {first:8.2f}  {seconds:8.1f}  {more:8.1f}")


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", default="1000,100000")
    parser.add_argument("--planned", default="10000,1000000")
    parser.add_argument("--model")
    parser.add_argument("--follow", nargs=2, type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.follow:
        tell(" ".join(map(str, follow(*chosen.follow))))
        return
    tell("    files  first, s  most MiB")
    for count in filter(None, chosen.files.split(",")):
        first, most = run_command(int(count), chosen.model)
        tell(f"{int(count):9,}  {first:8.1f}  {most:8.0f}")
    tell("\n    files  are       first, s    all, s  MiB more")
    for count in filter(None, chosen.planned.split(",")):
        for is_finished in (False, True):
            run_planned(int(count), is_finished)


if __name__ == "__main__":
    main()
