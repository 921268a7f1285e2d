"""What things cost: echo servers of several kinds under the same load.

    echo.py  demo.py           what is compared, and the tables
         |      |
       rounds.py               several servers in turn, medians and ratios
           |
       measure.py              one server, one load, the figures of one round
         |      |
    process.py  |              a server, watched from outside
         |      |
    servers.py  load.c         the two ends, each in its own process

Beside them: micro*.py times fibers and what wakes them, core*.py threads, processes, files and
datagrams, http*.py servers under wrk, and tls*.py whatever can be had over TLS; instructions.py
counts what a request takes, and report.py puts what figures.py has read into the documentation,
with a picture by plot.py. display.py shows the progress, tables.py the figures of several servers,
compiler.py builds what is in C, and about.py knows on what all that was measured.

Everything here is run from the project's root, as ``python -m benchmarks.demo``.
"""
