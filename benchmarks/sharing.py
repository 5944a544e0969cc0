"""What sharing photographs between processes costs and gains: whole commands, taking turns.

    python benchmarks/sharing.py [--photos 400] [--side 128] [--rounds 1] [--workers 2]
                                 [--runs threads,workers,ray] [--model photo]

`threads` is one process of as many threads as there are cores, `workers` is `--workers N`, `ray` is
`--ray local --workers N`. Printed are the seconds of the whole command, those until the first
result (the start of the processes and of the network, and one photograph), those for each
photograph once a quarter is made (before, Ray may still be starting workers), processor seconds of
all processes of the run likewise, and the most memory of each process that enlarges. Linux only, as
it reads /proc.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from PIL import Image, ImageFilter


def tell(line):
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def make_photographs(folder, count, side):
    """Make JPEG files of noise with coarse and fine structure, all different."""
    folder.mkdir()
    for number in range(count):
        fine = Image.effect_noise((side, side), 60)
        bands = [fine.filter(ImageFilter.GaussianBlur(radius)) for radius in (1, 2, 4)]
        Image.merge("RGB", bands).save(folder / f"{number:04}.jpg", quality=90)


def processes_below(pid):
    """Return the numbers and states of a process and of all that it has started."""
    states = {}
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            with suppress(OSError):  # it has ended
                states[int(each.name)] = (each / "stat").read_text().rpartition(")")[2].split()
    found = {pid}
    while more := {each for each, state in states.items() if int(state[1]) in found} - found:
        found |= more
    return {each: states[each] for each in found if each in states}


def processor_seconds(pid):
    """Return the processor seconds so far of a process and of all that it has started."""
    ticks = (sum(map(int, state[11:15])) for state in processes_below(pid).values())
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


def memory_of(pid, enlarges):
    """Return the most MiB so far of the processes whose command line has this word."""
    most = []
    for each in processes_below(pid):
        with suppress(OSError):
            command = Path(f"/proc/{each}/cmdline").read_text()
            status = Path(f"/proc/{each}/status").read_text()
            if enlarges in command:
                kib = next(line for line in status.splitlines() if line.startswith("VmHWM"))
                most.append(int(kib.split()[1]) >> 10)
    return sorted(most)


def run(name, source, chosen):
    """Run the command; return clock and processor at three results, and in all, and the memory."""
    more, enlarges = {
        "threads": ([], "enhance_cli"),
        "workers": (["--workers", str(chosen.workers)], "spawn_main"),
        "ray": (["--ray", "local", "--workers", str(chosen.workers)], "ray::Actor"),
    }[name]
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "enhance_cli", "upscale", source, "-o", f"{output}/out"]
        command += ["--model", chosen.model, "--device", "cpu", *more]
        # Python keeps the modules that it has compiled, and the threads are those of a user.
        left_out = {"PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS"}
        kept = {key: value for key, value in os.environ.items() if key not in left_out}
        kept["PYTHONUNBUFFERED"] = "1"
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=kept
        )
        marks, began = [], time.perf_counter()
        for number in range(chosen.photos):
            if not process.stdout.readline():
                sys.exit(f"{name} has made {number} results")
            if number in (0, chosen.photos // 4, chosen.photos - 1 - 2 * chosen.workers):
                marks.append((time.perf_counter() - began, processor_seconds(process.pid)))
                memory = memory_of(process.pid, enlarges)
        if process.wait():
            sys.exit(f"{name} has ended with {process.returncode}")
        return *marks, time.perf_counter() - began, memory


def main():
    """Print a line for each run, and medians of what they take beside the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", default="threads,workers,ray")
    parser.add_argument("--model", default="photo")
    chosen = parser.parse_args()
    names = chosen.runs.split(",")
    found = {name: [] for name in names}
    tell("          by the clock, s             processor, s          most MiB")
    tell("run        whole   first  each later   first  each later  of each")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        make_photographs(source, chosen.photos, chosen.side)
        for turn in range(chosen.rounds):
            for name in names[::-1] if turn % 2 else names:
                first, early, late, whole, memory = run(name, source, chosen)
                many = chosen.photos - 1 - 2 * chosen.workers - chosen.photos // 4
                clock, cpu = ((b - a) / many for a, b in zip(early, late, strict=True))
                found[name].append((whole, clock, cpu))
                started = f"{whole:8.1f}  {first[0]:6.1f}  {clock:10.3f}  {first[1]:6.1f}"
                tell(f"{name:8} {started}  {cpu:10.3f}  {memory}")
    for name in names[1:]:
        for which, what in enumerate(("whole", "each later", "each later, processor")):
            pairs = zip(found[name], found[names[0]], strict=True)
            ratio = statistics.median(one[which] / other[which] for one, other in pairs)
            tell(f"{name} / {names[0]}, {what}: {ratio:.3f}")


if __name__ == "__main__":
    main()
