"""torchrun without its tracebacks: a process that failed has said why already.

python -m mmdet3d_plugin.engine.launch [options of torchrun] SCRIPT [arguments]
"""

from __future__ import annotations

import logging
import signal
import sys

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run


def main(arguments: list[str] | None = None) -> int:
    """Start the processes and wait for them.

    Returns:
        0, the exit status of the first process that failed, or 128 + the number of the signal that ended it.
    """
    logging.disable(logging.ERROR)
    try:
        run(parse_args(arguments))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode >= 0:
            return failure.exitcode
        name = signal.Signals(-failure.exitcode).name
        sys.stderr.write(f"error: process {rank} was ended by {name} (SIGKILL: often memory ran out)\n")
        return 128 - failure.exitcode
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


if __name__ == "__main__":
    sys.exit(main())
