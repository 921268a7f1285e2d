"""What things cost: servers, clients and fibers of several kinds under the same load.

    __main__.py                every benchmark in turn, and the report
        |
    catalogue.py               what there is; what each compares, and how its figures are shown
        |            \\
    echo.py  demo.py  report.py      the benchmarks, and the report of their JSON
         |      |
       rounds.py               several servers in turn, medians and ratios
           |
       measure.py              one server, one load, the figures of one round
         |      |
    process.py  |              a server, watched from outside
         |      |
    servers.py  load.c         the two ends, each in its own process

Beside echo: micro*.py times fibers and what wakes them, core*.py threads, processes, files and
datagrams, http*.py servers under wrk and clients, tls*.py much of that over TLS; instructions.py
counts what a request takes.

What figures.py reads from their JSON, comparisons.py compares and targets.py judges, units.py and
tables.py write, plot.py draws and document.py puts together. display.py shows the progress,
compiler.py builds what is in C, and about.py knows on what all that was measured.

Everything here is run from the project's root, as ``python -m benchmarks.demo``.
"""
