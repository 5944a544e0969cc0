"""Run a command and print the most memory that it held, in bytes.

python benchmarks/peak.py COMMAND...

A process of its own: Linux counts what a parent holds as its child's until the child has begun.
"""

import os
import subprocess
import sys

if __name__ == "__main__":
    with subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    sys.stdout.write(f"{used.ru_maxrss * (1 if sys.platform == 'darwin' else 1024)}\n")
    sys.exit(child.returncode)
