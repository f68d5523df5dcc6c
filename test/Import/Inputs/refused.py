"""refused.py FILE [FLAG...]: runs moe-opt, prints its errors; fails unless it exits with 2, prints one error, and leaves no output."""
import os, subprocess, sys, tempfile

with tempfile.TemporaryDirectory() as folder:
    out = os.path.join(folder, "out.mlir")
    run = subprocess.run(["moe-opt", *sys.argv[1:], "-o", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    print(run.stderr, end="")
    if run.returncode != 2 or os.path.exists(out) or run.stdout:
        sys.exit(f"exit {run.returncode}, output {'left' if os.path.exists(out) else 'absent'}, stdout {run.stdout[:80]!r}")
    if run.stderr.count("error: ") > 1:
        sys.exit("more than one error")
