"""Write an output folder and end at a given step: ``python -m tests.cli.kill STEP HOW OUT NAME...``.

A step is a call that changes something in the file system. The files NAME of OUT are written anew with the text "new"; HOW is a number of a
signal, which comes in front of the step. The number of steps is printed if the end is reached.
"""

import json
import os
import sys

from gpudl4.cli.output import MANIFEST, staged_folder

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.chmod", "open"}


def main(step, how, folder, *names):
    """Run."""
    count = 0

    def look(event, args):
        nonlocal count
        if event not in CHANGES or (event == "open" and (args[1] is None or not set(args[1]) & set("wxa+"))):
            return
        count += 1
        if count == step:
            os.kill(os.getpid(), how)

    sys.addaudithook(look)
    with staged_folder(folder, overwrite=True) as stage:
        for name in names:
            (stage / name).write_text(json.dumps({"files": names}) if name == MANIFEST else "new")
    print(count)


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
