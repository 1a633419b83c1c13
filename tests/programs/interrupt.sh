# Ctrl-C in the middle of a run: exit code 130 and the picture so far.
source "$(dirname "$0")/common.sh"
need_assets

# --save-every 1 tells when the run is under way. (A shell's background jobs ignore SIGINT: Python starts it.)
python3 - "$BIN/noyau-style" "$data/coffee.png" "$data/chelsea.png" << 'PYTHON' || fail "see above"
import os, signal, subprocess, sys, time
run = subprocess.Popen([*sys.argv[1:], "-o", "out.png", "--size", "64", "--scales", "1", "--iterations", "100000",
                        "--save-every", "1", "--progress", "lines"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
while not os.path.exists("out.png") and run.poll() is None:
    time.sleep(0.05)
os.unlink("out.png")
run.send_signal(signal.SIGINT)
_, errors = run.communicate()
assert run.returncode == 130, (run.returncode, errors)
assert "out.png" in errors, errors
PYTHON
expect 0 "$BIN/noyau" convert out.png copy.png
ls | grep -q tmp && fail "a temporary file was left: $(ls)"
finish
