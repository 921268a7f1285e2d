"""Child processes: ``Process``, whose pipes are streams, and ``run()``."""

from .process import DETACHED as DETACHED
from .process import Process as Process
from .process import ProcessError as ProcessError
from .run import check_call as check_call
from .run import check_output as check_output
from .run import run as run
from .stdio import DEVNULL as DEVNULL
from .stdio import PIPE as PIPE
from .stdio import STDOUT as STDOUT

__all__ = [
    'DETACHED', 'DEVNULL', 'PIPE', 'STDOUT', 'Process', 'ProcessError', 'check_call',
    'check_output', 'run',
]  # fmt: skip
