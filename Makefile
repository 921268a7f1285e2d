# make demo and make test do everything by themselves; make help lists the rest.

PYTHON ?= python3
VENV ?= .venv
PYPY ?= pypy3
DEMO_SECONDS ?= 18
PYTEST_ARGS ?=
BENCH_ARGS ?=
FUZZ_SECONDS ?= 60
CLANG ?= clang

# Nothing of the user's own Python may get in.
export PYTHONNOUSERSITE = 1
unexport PYTHONPATH PYTHONHOME

run = $(VENV)/bin/python
csrc = $(wildcard csrc/*.c)
headers = $(wildcard csrc/*.h)
c_files = $(wildcard csrc/*.[ch] tests/c/*.[ch] tests/fuzz/*.[ch] benchmarks/*.[ch])
c_objects = $(csrc:csrc/%.c=build/c/%.o)
lint_objects = $(csrc:csrc/%.c=build/lint/%.o)
c_tests = $(patsubst tests/c/%.c,build/c/%,$(wildcard tests/c/test_*.c))

c_flags = -std=c11 -D_GNU_SOURCE -I. $(shell pkg-config --cflags libuv openssl)
c_warnings = -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror
c_libraries = $(shell pkg-config --libs libuv openssl) -lhttp_parser
sanitizers = -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

.PHONY: help
help:
	@echo 'make demo       our echo server, asyncio'"'"'s and gevent'"'"'s under the same load'
	@echo 'make test       all tests, those of the C core under sanitizers'
	@echo 'make test-c     only those'
	@echo 'make test-valgrind  the same, under valgrind instead of sanitizers'
	@echo 'make test-long  all tests, the slow ones in full length'
	@echo 'make test-chopped  those of HTTP, with what comes cut at random'
	@echo 'make test-pypy  all tests, on PyPy'
	@echo 'make fuzz       any bytes, for FUZZ_SECONDS, to each engine'
	@echo 'make lint       formatters, types, warnings, and who may import what'
	@echo 'make format     let the formatters do what they can'
	@echo 'make docs       the documentation, into docs/_build/html'
	@echo 'make bench-all  all benchmarks (BENCH_ARGS, as --quick or --only echo http), and their report'
	@echo 'make bench  bench-http  bench-http-client  bench-tls  bench-scale  parts of that'
	@echo 'make package    sdist and wheel, into dist'
	@echo 'make build      the extension module, in place'
	@echo 'make clean      remove what these have made, but the virtual environments'

.PHONY: demo
demo: build
	@$(run) -m benchmarks.demo --seconds $(DEMO_SECONDS)

.PHONY: test
test: build test-c
	@$(run) -m pytest $(PYTEST_ARGS)

.PHONY: test-long
test-long: build test-c test-chopped
	@$(run) -m pytest --long $(PYTEST_ARGS)

.PHONY: test-chopped
test-chopped: build
	@$(run) -m pytest --chop 1 $(PYTEST_ARGS) $(wildcard tests/test_http_*.py)

.PHONY: test-pypy
test-pypy:
	@$(MAKE) --no-print-directory test PYTHON=$(PYPY) VENV=.venv-pypy

# PyPy takes part if make test-pypy has set it up.
.PHONY: bench-all
bench-all: build
	@if [ -d .venv-pypy ]; then $(MAKE) --no-print-directory build PYTHON=$(PYPY) VENV=.venv-pypy; fi
	@$(run) -m benchmarks $(BENCH_ARGS)

# Parts of it.
.PHONY: bench bench-http bench-http-client bench-tls bench-scale
bench bench-http bench-http-client bench-tls bench-scale: build
	@$(run) -m benchmarks --only $(parts_of_$@) $(BENCH_ARGS)

parts_of_bench = echo latency busy micro core
parts_of_bench-http = http
parts_of_bench-http-client = http_clients
parts_of_bench-tls = tls
parts_of_bench-scale = scale_connections scale_fibers scale_timers scale_waiters scale_fanout \
                       scale_workers

.PHONY: docs
docs: build
	@$(run) -m sphinx -q -E -W --keep-going -b html docs docs/_build/html

# The sdist, from it the wheel, and that used from elsewhere, without our tools beside it.
.PHONY: package
package: build
	@rm -rf dist build/user
	@$(run) -m build --no-isolation . >build/package.log 2>&1 || { cat build/package.log; exit 1; }
	@$(run) -m venv build/user
	@build/user/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	@cd build/user && bin/python -m gruvi_cffi --version

# Set-up: once, and again when what it depends on has changed.

.PHONY: build
build: $(VENV)/built

$(VENV)/set-up: .ci/setup.sh .ci/requirements.txt pyproject.toml setup.py
	@sh .ci/setup.sh $(PYTHON) $(VENV)
	@touch $@

$(VENV)/built: $(VENV)/set-up build_ffi.py $(csrc) $(headers)
	@$(run) build_ffi.py
	@touch $@

# The C core alone, without Python.

.PHONY: test-c
test-c: $(c_tests:%=%.passed)

$(c_objects): build/c/%.o: csrc/%.c $(headers) | $(VENV)/set-up
	@mkdir -p $(@D)
	@$(CC) $(c_flags) $(c_warnings) $(sanitizers) -c $< -o $@

$(c_tests): build/c/%: tests/c/%.c $(wildcard tests/c/*.h) $(headers) $(c_objects)
	@$(CC) $(c_flags) $(c_warnings) $(sanitizers) $< $(c_objects) $(c_libraries) $(wrapped) -o $@

# It says which of our allocations fail.
build/c/test_tls_memory build/valgrind/test_tls_memory: wrapped = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup

.PHONY: $(c_tests:%=%.passed)
$(c_tests:%=%.passed): %.passed: %
	@$<
	@echo '$(<F): passed'

# The same under valgrind, which also sees into libraries that have no sanitizers in them.

valgrind = valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite
# Under it a vfork() shares no memory, by which a child says why it has not become a program;
# milliseconds are short; and test_passing does not end, for a reason that is not known.
not_under_valgrind = %/test_passing %/test_process %/test_timeouts
under_valgrind = $(filter-out $(not_under_valgrind),$(c_tests:build/c/%=build/valgrind/%))

.PHONY: test-valgrind
test-valgrind: $(under_valgrind:%=%.passed)

$(csrc:csrc/%.c=build/valgrind/%.o): build/valgrind/%.o: csrc/%.c $(headers) | $(VENV)/set-up
	@mkdir -p $(@D)
	@$(CC) $(c_flags) $(c_warnings) -g -O1 -c $< -o $@

$(under_valgrind): build/valgrind/%: tests/c/%.c $(wildcard tests/c/*.h) \
    $(csrc:csrc/%.c=build/valgrind/%.o)
	@$(CC) $(c_flags) $(c_warnings) -g -O1 -DPATIENCE=900 $< $(filter %.o,$^) $(c_libraries) \
	    $(wrapped) -o $@

.PHONY: $(under_valgrind:%=%.passed)
$(under_valgrind:%=%.passed): %.passed: %
	@$(valgrind) $<
	@echo '$(<F) under valgrind: passed'

# Engines, which know nothing of the rest.

engine_files = $(filter-out %_stream.c %_warm.c,$(csrc))
fuzzers = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: fuzz
fuzz: $(fuzzers:%=build/c/fuzz_%)
	@for name in $(fuzzers); do \
	    mkdir -p build/corpus/$$name && \
	    build/c/fuzz_$$name -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=5 \
	        -print_final_stats=1 -artifact_prefix=build/corpus/ \
	        build/corpus/$$name tests/fuzz/corpus/$$name >build/corpus/$$name.log 2>&1 || \
	        { tail -n 40 build/corpus/$$name.log; exit 1; }; \
	    grep number_of_executed_units build/corpus/$$name.log; \
	done

build/c/fuzz_%: tests/fuzz/fuzz_%.c $(wildcard tests/c/*.h) $(csrc) $(headers) | $(VENV)/set-up
	@command -v $(CLANG) >/dev/null || { echo 'make fuzz needs clang' >&2; exit 1; }
	@mkdir -p $(@D)
	@$(CLANG) $(c_flags) $(c_warnings) $(sanitizers) -fsanitize=fuzzer $< \
	    $(filter csrc/$*%.c,$(engine_files)) $(c_libraries) -o $@

# Checks.

.PHONY: lint
lint: build $(lint_objects)
	$(run) -m ruff check .
	$(run) -m ruff format --check .
	$(run) -m mypy
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/clang-format --dry-run -Werror $(c_files)

$(lint_objects): build/lint/%.o: csrc/%.c $(headers) | $(VENV)/set-up
	@mkdir -p $(@D)
	@$(CC) $(c_flags) $(c_warnings) -O2 -c $< -o $@

.PHONY: format
format: build
	$(run) -m ruff check --fix-only --quiet .
	$(run) -m ruff format --quiet .
	$(VENV)/bin/clang-format -i $(c_files)

.PHONY: clean
clean:
	rm -rf build dist docs/_build *.egg-info gruvi_cffi/_gv.c gruvi_cffi/_gv*.so
	rm -f $(VENV)/built
