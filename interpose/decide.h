/* decide.h: what to do with one exec: nothing, or run the shim; and what becomes of LD_PRELOAD.
 *
 * In: facts, all of them gathered elsewhere. Out: a verdict. Pure: no system call, no memory but its arguments.
 * Invariant: every doubt ends in kLeave or kKeep, which is the call as the program made it.
 */
#ifndef CURSERVE_DECIDE_H
#define CURSERVE_DECIDE_H
#include <stddef.h>

#include "text.h"

/* The file that would be executed. */
struct file_facts {
    int runs;          /* regular, and this process may execute it */
    int elf;           /* a program of this machine and word size */
    int script;        /* begins with #! */
    int foreign;       /* an ELF program of another machine or word size */
    int raised;        /* set-uid or set-gid */
    int ours;          /* the shim, or a copy of it */
    int sanitizer;     /* it, or the interpreter of a script, links a runtime that must be loaded first */
};

/* The call and its environment. */
struct exec_facts {
    const char *path;      /* what would be executed, resolved; null: not known */
    const char *argv0;     /* may be null */
    const char *shim;      /* CURSERVE_SHIM of the environment passed on, else of this process's start; may be null */
    int disabled;          /* CURSERVE_DISABLE says so */
    int declining;         /* this very process came from the shim by exec: it is running a decline */
    int shim_passed;       /* CURSERVE_SHIM is in the environment passed on */
    int preload_passed;    /* LD_PRELOAD is, whatever it says */
    int preload_names_us;  /* and this library is in it */
    int path_relative_to_child;    /* a relative path that the child resolves in a directory we do not know */
};

enum verdict { kLeave, kSwap };
enum preload_verdict { kKeep, kRestore, kWithout };

static inline const char *base_name(const char *path) {
    const char *base = path;
    for (; *path; path++)
        if (*path == '/') base = path + 1;
    return base;
}

/* Whether the call asks for ripgrep by name: that of the program, or argv[0] (claude-code runs itself as `rg`). */
static inline int asks_for_rg(const char *path, const char *argv0) {
    return (path && text_same(base_name(path), "rg")) || (argv0 && text_same(base_name(argv0), "rg"));
}

/* Scripts are left alone: a wrapper named rg has its own mind, and the rg it runs in the end is swapped in its turn.
 * So is a set-uid program: the shim would not have its rights. */
static inline enum verdict decide(const struct exec_facts *call, const struct file_facts *file) {
    if (!call->shim || call->shim[0] != '/' || call->disabled || call->declining) return kLeave;
    if (!call->path || call->path_relative_to_child || !asks_for_rg(call->path, call->argv0)) return kLeave;
    if (!file->runs || !file->elf || file->raised || file->ours) return kLeave;
    return kSwap;
}

/* LD_PRELOAD goes back in where it was taken out of an environment that is otherwise ours: CURSERVE_SHIM is there,
 * LD_PRELOAD is absent (not empty: `LD_PRELOAD= cmd` is somebody's wish), nothing is switched off. An environment that
 * was emptied (env -i, an allow-list) stays as it is: there PATH leads to the shim, or nothing does.
 * This library is taken out where it would do harm: before a sanitizer's runtime, which must be first, and for a
 * program of another machine, whose loader would complain on stderr. */
static inline enum preload_verdict decide_preload(const struct exec_facts *call, const struct file_facts *file) {
    if (call->preload_names_us) return file->sanitizer || file->foreign ? kWithout : kKeep;
    if (call->preload_passed || !call->shim_passed || call->disabled) return kKeep;
    if (!file->runs || file->sanitizer || file->foreign || file->raised) return kKeep;
    return file->elf || file->script ? kRestore : kKeep;
}

#endif
