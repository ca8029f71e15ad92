"""How late, in ms, the latest of many short sleeps ended, from the start to the end of the input."""
import select
import sys
import time

SLEEP_S = 0.01

latest = 0.0
while True:
    begun = time.monotonic()
    asked = select.select([sys.stdin], [], [], SLEEP_S)[0]
    if asked and not sys.stdin.buffer.read1(4096):
        break
    if not asked:
        latest = max(latest, time.monotonic() - begun - SLEEP_S)
print(int(latest * 1000), flush=True)
