/* Who holds the GIL, for cffi's wrappers on CPython. PyPy does this by itself.
 *
 * cffi gives it up for every call. Beside a Python thread that computes, each write
 * would then wait 5 ms to get it back, and without one it costs more than most of
 * our functions. None but the poll waits for anything, so the poll alone gives it up. */
#ifndef GV_GIL_H
#define GV_GIL_H

#include "csrc/loop.h"

#if defined(Py_BEGIN_ALLOW_THREADS) && !defined(PYPY_VERSION)

#undef Py_BEGIN_ALLOW_THREADS
#undef Py_END_ALLOW_THREADS
#define Py_BEGIN_ALLOW_THREADS {
#define Py_END_ALLOW_THREADS }

static void *gv_gil_release(void) {
    return PyEval_SaveThread();
}

static void gv_gil_acquire(void *thread) {
    PyEval_RestoreThread(thread);
}

static void gv_gil_init(void) {
    gv_loop_around_wait(gv_gil_release, gv_gil_acquire);
}

#else

static void gv_gil_init(void) {
}

#endif

#endif
