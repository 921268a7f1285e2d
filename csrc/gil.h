/* For cffi's wrappers on CPython: only the poll gives up the GIL.
 *
 * cffi gives it up for every call. Beside a Python thread that computes, each write
 * would then wait 5 ms to get it back, and without one it costs more than most of
 * our functions. None but the poll waits for anything. */
#ifndef GV_GIL_H
#define GV_GIL_H

#ifdef Py_BEGIN_ALLOW_THREADS

#include <string.h>

#undef Py_BEGIN_ALLOW_THREADS
#undef Py_END_ALLOW_THREADS
#define Py_BEGIN_ALLOW_THREADS                                                                     \
    {                                                                                              \
        PyThreadState *gv_saved = NULL;                                                            \
                                                                                                   \
        if (strcmp(__func__, "_cffi_f_gv_loop_poll") == 0)                                         \
            gv_saved = PyEval_SaveThread();
#define Py_END_ALLOW_THREADS                                                                       \
    if (gv_saved != NULL)                                                                          \
        PyEval_RestoreThread(gv_saved);                                                            \
    }

#endif

#endif
