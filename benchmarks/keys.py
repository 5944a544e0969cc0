"""What planning a run over a bucket costs, by the number of keys: all but the store and enlarging.

    python benchmarks/keys.py [COUNT]

The store in place of S3 lists generated keys, a page at a time, has no results, and keeps nothing.
Printed are processor seconds until the first outcome, seconds by the clock until then, processor
seconds in all, and the MiB that came to what the program had at first.
"""

import resource
import sys
import time
from unittest import mock

from enhance_cli import storage
from enhance_cli.config import UpscaleOptions
from enhance_cli.places import Url
from enhance_cli.upscale import batch, work
from enhance_cli.upscale.remote.schedule import RemoteBatch

MIB = 1 << (20 if sys.platform == "darwin" else 10)  # of ru_maxrss in one


class Keys:
    """Lists so many keys as S3 does."""

    def __init__(self, count):
        self.count = count

    def call_s3(self, _, *, Prefix, StartAfter="", MaxKeys=1000, **__):  # noqa: N803 (S3's names)
        """Return a page of the keys that follow one."""
        if not Prefix.startswith("in/"):
            return {"KeyCount": 0}
        after = StartAfter.removeprefix("in/IMG_").removesuffix(".jpg")
        first = int(after) + 1 if after.isdecimal() else 0
        numbers = range(first, min(first + MaxKeys, self.count))
        page = [{"Key": f"in/IMG_{each:08}.jpg", "Size": 1, "ETag": "x"} for each in numbers]
        return {"KeyCount": len(page), "Contents": page}

    def info(self, path):
        """Say that a result is not there."""
        raise FileNotFoundError(path)

    def pipe_file(self, *_):
        """Write nothing."""

    rm_file = pipe_file


def main():
    """Run a batch over so many keys without enlarging, and print what it took."""
    keys, options = Keys(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000), UpscaleOptions()

    def pretend(job, *_):
        return work.Outcome(job.source, job.target)

    def system(_):
        return keys

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, began = time.process_time(), time.perf_counter()
    with (
        mock.patch.object(storage, "_system", system),  # no Mock, which would keep all calls
        mock.patch.object(batch, "enlarge_anywhere", pretend),
    ):
        source, output = Url("s3", "bucket/in"), Url("s3", "bucket/out")
        run = RemoteBatch([source], output, options, {}, lambda _: None, is_folder=True)
        outcomes = run.run(batch.one_after_another(options, lambda: "engine", None))
        next(outcomes)
        first, waited = time.process_time() - started, time.perf_counter() - began
        made = 1 + sum(outcome.error is None for outcome in outcomes)
    taken = time.process_time() - started
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / MIB
    sys.stdout.write("     keys  first, s  by clock, s    all, s  MiB more\n")
    sys.stdout.write(f"{made:9,}  {first:8.2f}  {waited:11.1f}  {taken:8.1f}  {more:8.1f}\n")
    sys.exit(made != keys.count)


if __name__ == "__main__":
    main()
