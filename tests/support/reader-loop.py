# Asks the reader of job-control hosts the question of this process's environment again and again, so
# that an attack meets it thousands of times and not once for each process. Arguments: the reader, the
# seconds, and `first-design` for a reader that takes the real path and opens then, and that ends when
# an entry has vanished: the attack has to succeed against it (contract/runtime 20.5).
import json
import os
import sys
import time

path, seconds, design = sys.argv[1:]
with open(path) as file:
    source = file.read()
# Without its last line, which asks once.
source = source[: source.rindex("main()")]
if design == "first-design":
    source = source.replace("except FileNotFoundError:", "except ZeroDivisionError:")
reader = {}
exec(compile(source, path, "exec"), reader)


def look_then_open(root, name):
    base = reader["name_of"](root)
    real = os.path.realpath(os.path.join(base, name))
    if real != base and not real.startswith(base + b"/"):
        raise reader["Refusal"]("path_escape")
    found = os.open(real, os.O_RDONLY)
    return found, os.fstat(found)


if design == "first-design":
    reader["resolve"] = look_then_open
tally = {"tries": 0, "served": 0, "leaks": 0, "codes": {}}
until = time.monotonic() + float(seconds)
while time.monotonic() < until:
    tally["tries"] += 1
    try:
        _, payload = reader["answer_question"]()
        tally["served"] += 1
        if b"OUTSIDE" in payload or b"outside.txt" in payload:
            tally["leaks"] += 1
            if design == "first-design":
                break
    except Exception as error:
        code = reader["code_of"](error)
        tally["codes"][code] = tally["codes"].get(code, 0) + 1
    # The reader leaves its descriptors to the end of its process.
    os.closerange(3, 64)
print(json.dumps(tally))
