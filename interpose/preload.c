/* preload.c: the library that LD_PRELOAD brings into an agent and its children: it runs the shim where they run rg.
 *
 * In: the calls of preload.map, whenever a program of the process makes one. Out: the same call, or one that executes
 * $CURSERVE_SHIM with CURSERVE_ASKED set to the program asked for, so that a decline runs that very program with the
 * same argv. What is decided is in decide.h, what is looked at in file.h.
 * Invariant: no allocation, no stdio, no lock, no errno of our own; safe between vfork and exec. All memory is the
 * stack (at most 8 KiB plus 8 bytes per variable of the environment) and what the constructor filled in. In any doubt,
 * or when the shim cannot be executed, the call goes on unchanged.
 * Not here: programs that are static or make their system calls themselves; nothing can be done there, and no harm
 * either. glibc's own system() and popen() do not come by; the shell they start does.
 *
 * Environment passed to the shim: as given, CURSERVE_ASKED renewed. If the program passes one in which CURSERVE_SHIM is
 * missing (it was stripped), CURSERVE_SOCKET, _TRACE, _TIMEOUT_MS and _REAL_RG as at this process's start are added.
 * Environment passed to other programs: see decide_preload().
 *
 * Build:
 * cc -std=gnu17 -Os -Wall -Wextra -Wconversion -Werror -fPIC -shared -fvisibility=hidden -fno-stack-protector \
 *    -Ishims -Wl,--version-script=interpose/preload.map -Wl,-z,now -Wl,-z,relro -o libcurserve.so \
 *    interpose/preload.c
 */
#include <dlfcn.h>
#include <stdarg.h>

#include "decide.h"
#include "file.h"
#include "text.h"

/* The family is declared here: unistd.h says its arguments are never null, and compilers believe it. */
typedef char *const *strings;
#define EXPORT __attribute__((visibility("default")))
EXPORT int execve(const char *path, strings argv, strings envp);
EXPORT int execv(const char *path, strings argv);
EXPORT int execvp(const char *file, strings argv);
EXPORT int execvpe(const char *file, strings argv, strings envp);
EXPORT int execl(const char *path, const char *argv0, ...);
EXPORT int execlp(const char *file, const char *argv0, ...);
EXPORT int execle(const char *path, const char *argv0, ...);
EXPORT int execveat(int dir, const char *path, strings argv, strings envp, int flags);
EXPORT int fexecve(int fd, strings argv, strings envp);
EXPORT int posix_spawn(int *pid, const char *path, const void *actions, const void *attr, strings argv, strings envp);
EXPORT int posix_spawnp(int *pid, const char *file, const void *actions, const void *attr, strings argv, strings envp);

extern char **environ;

enum { kMaxPath = 1024, kMaxVariables = 4096, kMaxPreload = 1024 };      /* beyond: left alone; arbitrary */
enum kind { kExec, kSearch, kAt, kFd, kSpawn, kSpawnSearch };

/* What comes after us in the order of symbol lookup: another preload library, or the C library. */
static struct {
    int (*execve)(const char *, strings, strings);
    int (*execvpe)(const char *, strings, strings);
    int (*execveat)(int, const char *, strings, strings, int);
    int (*fexecve)(int, strings, strings);
    int (*posix_spawn)(int *, const char *, const void *, const void *, strings, strings);
    int (*posix_spawnp)(int *, const char *, const void *, const void *, strings, strings);
} next;

/* As NAME=value at this process's start, copied since a program may write its title over the original. */
enum { kKept = 4 };
static const char *const kept_names[kKept] = {"CURSERVE_SOCKET", "CURSERVE_TRACE", "CURSERVE_TIMEOUT_MS",
                                              "CURSERVE_REAL_RG"};
static char kept[kKept][512];
static char start_shim[512];
static char start_preload[1024];       /* LD_PRELOAD=path of this library */

static const char *value_in(strings env, const char *name) {
    const char *value = NULL;
    for (; *env && !value; env++) value = text_value(*env, name);
    return value;
}

/* The length of the entry of LD_PRELOAD that starts at `at`. */
static size_t entry_size(const char *at) {
    size_t size = 0;
    while (at[size] && at[size] != ':' && at[size] != ' ') size++;
    return size;
}

static int entry_is_ours(const char *at, size_t size) {
    static const char name[] = "libcurserve.so";
    size_t length = sizeof name - 1;
    return size >= length && __builtin_memcmp(at + size - length, name, length) == 0 &&
           (size == length || at[size - length - 1] == '/');
}

static const char *our_entry(const char *preload) {
    for (const char *at = preload; at && *at;) {
        size_t size = entry_size(at);
        if (entry_is_ours(at, size)) return at;
        at += size + (at[size] != 0);
    }
    return NULL;
}

static void copy_text(char *to, size_t size, const char *name, const char *value, size_t length) {
    struct text text = {to, to + size - 1, 0};
    if (name) text_add(&text, name), text_byte(&text, '=');
    while (length-- && *value) text_byte(&text, (unsigned char)*value++);
    *(text.cut ? to : text.at) = 0;     /* what does not fit is as if unset */
}

static void find_next(void) {
    *(void **)&next.execve = dlsym(RTLD_NEXT, "execve");
    *(void **)&next.execvpe = dlsym(RTLD_NEXT, "execvpe");
    *(void **)&next.execveat = dlsym(RTLD_NEXT, "execveat");
    *(void **)&next.fexecve = dlsym(RTLD_NEXT, "fexecve");
    *(void **)&next.posix_spawnp = dlsym(RTLD_NEXT, "posix_spawnp");
    *(void **)&next.posix_spawn = dlsym(RTLD_NEXT, "posix_spawn");
}

__attribute__((constructor)) static void start(void) {
    const char *value;
    find_next();
    if (!environ) return;
    for (int i = 0; i < kKept; i++) {
        value = value_in(environ, kept_names[i]);
        if (value) copy_text(kept[i], sizeof kept[i], kept_names[i], value, kMaxPath);
    }
    if ((value = value_in(environ, "CURSERVE_SHIM"))) copy_text(start_shim, sizeof start_shim, NULL, value, kMaxPath);
    if ((value = our_entry(value_in(environ, "LD_PRELOAD"))))
        copy_text(start_preload, sizeof start_preload, "LD_PRELOAD", value, entry_size(value));
}

/* One call of the family. */
struct call {
    enum kind kind;
    const char *path;
    strings argv;
    strings envp;
    int fd, flags;                      /* kAt, kFd */
    int *pid;                           /* kSpawn, kSpawnSearch */
    const void *actions, *attr;
};

/* The call as it was made, save for `envp`. */
static int pass_on(const struct call *call, strings envp) {
    if (!next.posix_spawn) find_next();         /* a constructor that ran before ours executes something */
    switch (call->kind) {
    case kExec: return next.execve(call->path, call->argv, envp);
    case kSearch: return next.execvpe(call->path, call->argv, envp);
    case kAt: return next.execveat(call->fd, call->path, call->argv, envp, call->flags);
    case kFd: return next.fexecve(call->fd, call->argv, envp);
    case kSpawn: return next.posix_spawn(call->pid, call->path, call->actions, call->attr, call->argv, envp);
    default: return next.posix_spawnp(call->pid, call->path, call->actions, call->attr, call->argv, envp);
    }
}

/* The file that glibc's search would execute, by its rules: the caller's PATH (even where an environment is passed), an
 * empty entry is the cwd, what is missing or may not be executed is stepped over. Null: not found, too long. */
static const char *search_path(const char *file, char *to) {
    const char *entry = environ ? value_in(environ, "PATH") : NULL;
    if (!*file) return NULL;
    for (const char *at = file; *at; at++)
        if (*at == '/') return file;
    if (!entry) entry = "/bin:/usr/bin";
    for (;;) {
        struct text path = {to, to + kMaxPath - 1, 0};
        struct statx stat;
        const char *start_of_entry = entry;
        while (*entry && *entry != ':') text_byte(&path, (unsigned char)*entry++);
        if (entry != start_of_entry) text_byte(&path, '/');
        text_add(&path, file);
        *path.at = 0;
        if (path.cut) return NULL;
        if (file_identify(AT_FDCWD, to, 0, &stat) && (stat.stx_mode & 0170000) == 0100000 &&
            sys_call(__NR_faccessat, AT_FDCWD, (long)to, 1, 0, 0, 0) == 0)
            return to;
        if (!*entry++) return NULL;
    }
}

static const char *behind_fd(int fd, char *to) {
    char link[32];
    struct text text = {link, link + sizeof link - 1, 0};
    if (fd < 0) return NULL;
    text_add(&text, "/proc/self/fd/");
    text_number(&text, (uint64_t)fd);
    *text.at = 0;
    return file_behind(link, to, kMaxPath) ? to : NULL;
}

/* A path under which the shim, too, would find the file this call executes; null when there is none for sure. */
static const char *resolve(const struct call *call, char *to) {
    const char *path = call->path;
    if (call->kind == kFd) return behind_fd(call->fd, to);
    if (!path) return NULL;
    if (call->kind == kAt) {
        if (call->flags == AT_EMPTY_PATH && !*path) return behind_fd(call->fd, to);
        if (call->flags != 0 || !*path || (call->fd != AT_FDCWD && path[0] != '/')) return NULL;
    }
    if (call->kind == kSearch || call->kind == kSpawnSearch) path = search_path(path, to);
    /* /proc/self/exe is another file in the shim than here; so are descriptors that close on exec. */
    if (path && (file_begins(path, "/proc/") || file_begins(path, "/dev/fd/")))
        return path != to && file_behind(path, to, kMaxPath) ? to : NULL;
    return path;
}

/* Whether CURSERVE_HOP=pid.depth.slot names this process: the shim executed it to answer a decline. */
static int is_declining(const char *hop) {
    return hop && text_parse(&hop) == sys_call(__NR_getpid, 0, 0, 0, 0, 0, 0);
}

static int run_shim(const struct call *call, const struct exec_facts *facts, size_t variables) {
    char *env[variables + kKept + 2];
    char asked[kMaxPath + 16];
    size_t count = 0;
    copy_text(asked, sizeof asked, "CURSERVE_ASKED", facts->path, kMaxPath);
    if (!*asked) return -1;
    for (strings at = call->envp; *at; at++)
        if (!text_value(*at, "CURSERVE_ASKED")) env[count++] = *at;
    env[count++] = asked;
    for (int i = 0; i < kKept && !facts->shim_passed; i++)
        if (kept[i][0] && !value_in(call->envp, kept_names[i])) env[count++] = kept[i];
    env[count] = NULL;
    struct call shim = *call;
    shim.kind = call->kind == kSpawn || call->kind == kSpawnSearch ? kSpawn : kExec;
    shim.path = facts->shim;
    return pass_on(&shim, env);
}

/* The call with LD_PRELOAD put back, or with this library taken out of it. */
static int run_with_preload(const struct call *call, enum preload_verdict verdict, size_t variables) {
    char *env[variables + 2];
    char without[kMaxPreload];
    size_t count = 0;
    const char *preload = value_in(call->envp, "LD_PRELOAD");
    if (verdict == kRestore && !start_preload[0]) return pass_on(call, call->envp);
    for (strings at = call->envp; *at; at++)
        if (!text_value(*at, "LD_PRELOAD")) env[count++] = *at;
    if (verdict == kRestore) {
        env[count++] = start_preload;
    } else {
        struct text text = {without, without + sizeof without - 1, 0};
        text_add(&text, "LD_PRELOAD=");
        char *first = text.at;
        while (*preload) {
            size_t size = entry_size(preload);
            if (!entry_is_ours(preload, size) && size) {
                if (text.at != first) text_byte(&text, ':');
                for (size_t i = 0; i < size; i++) text_byte(&text, (unsigned char)preload[i]);
            }
            preload += size + (preload[size] != 0);
        }
        *text.at = 0;
        if (text.cut) return pass_on(call, call->envp);
        if (text.at != first) env[count++] = without;
    }
    env[count] = NULL;
    return pass_on(call, env);
}

/* Every exported function ends here. */
static int run(const struct call *call) {
    char resolved[kMaxPath];
    struct file_facts file;
    size_t variables = 0;
    if (!call->envp || !call->argv) return pass_on(call, call->envp);
    while (call->envp[variables] && variables < kMaxVariables) variables++;
    if (variables == kMaxVariables) return pass_on(call, call->envp);
    const char *preload = value_in(call->envp, "LD_PRELOAD"), *disable = value_in(call->envp, "CURSERVE_DISABLE");
    const char *shim = value_in(call->envp, "CURSERVE_SHIM");
    struct exec_facts facts = {
        .argv0 = call->argv[0],
        .shim = shim ? shim : start_shim,
        .disabled = disable && *disable && !text_same(disable, "0"),
        .declining = is_declining(value_in(call->envp, "CURSERVE_HOP")),
        .shim_passed = shim != NULL,
        .preload_passed = preload != NULL,
        .preload_names_us = our_entry(preload) != NULL,
    };
    facts.path = resolve(call, resolved);
    if (!facts.path) return pass_on(call, call->envp);
    /* File actions may change the directory that a relative path starts from. */
    facts.path_relative_to_child = call->actions && facts.path[0] != '/';
    if (facts.path_relative_to_child) return pass_on(call, call->envp);
    file_look(facts.path, 1, &file);
    /* A spawn returns 0 on success, an exec does not return; else the shim could not be run. */
    if (decide(&facts, &file) == kSwap && run_shim(call, &facts, variables) == 0) return 0;
    enum preload_verdict verdict = decide_preload(&facts, &file);
    return verdict == kKeep ? pass_on(call, call->envp) : run_with_preload(call, verdict, variables);
}

int execve(const char *path, strings argv, strings envp) {
    return run(&(struct call){.kind = kExec, .path = path, .argv = argv, .envp = envp});
}

int execv(const char *path, strings argv) {
    return run(&(struct call){.kind = kExec, .path = path, .argv = argv, .envp = environ});
}

int execvp(const char *file, strings argv) {
    return run(&(struct call){.kind = kSearch, .path = file, .argv = argv, .envp = environ});
}

int execvpe(const char *file, strings argv, strings envp) {
    return run(&(struct call){.kind = kSearch, .path = file, .argv = argv, .envp = envp});
}

int execveat(int dir, const char *path, strings argv, strings envp, int flags) {
    return run(&(struct call){.kind = kAt, .path = path, .argv = argv, .envp = envp, .fd = dir, .flags = flags});
}

int fexecve(int fd, strings argv, strings envp) {
    return run(&(struct call){.kind = kFd, .argv = argv, .envp = envp, .fd = fd});
}

int posix_spawn(int *pid, const char *path, const void *actions, const void *attr, strings argv, strings envp) {
    return run(&(struct call){.kind = kSpawn, .path = path, .argv = argv, .envp = envp, .pid = pid, .actions = actions,
                              .attr = attr});
}

int posix_spawnp(int *pid, const char *file, const void *actions, const void *attr, strings argv, strings envp) {
    return run(&(struct call){.kind = kSpawnSearch, .path = file, .argv = argv, .envp = envp, .pid = pid,
                              .actions = actions, .attr = attr});
}

/* The list of arguments as an array on the stack, as glibc makes it. */
#define RUN_LIST(call_kind, call_path, environment)                                         \
    va_list list;                                                                           \
    size_t count = 1;                                                                       \
    va_start(list, argv0);                                                                  \
    for (const char *at = argv0; at; at = va_arg(list, const char *)) count++;              \
    va_end(list);                                                                           \
    char *argv[count];                                                                      \
    va_start(list, argv0);                                                                  \
    argv[0] = (char *)(uintptr_t)argv0;                                                     \
    for (size_t i = 1; i < count; i++) argv[i] = va_arg(list, char *);                      \
    strings envp = environment;                                                             \
    va_end(list);                                                                           \
    return run(&(struct call){.kind = call_kind, .path = call_path, .argv = argv, .envp = envp})

int execl(const char *path, const char *argv0, ...) {
    RUN_LIST(kExec, path, environ);
}

int execlp(const char *file, const char *argv0, ...) {
    RUN_LIST(kSearch, file, environ);
}

int execle(const char *path, const char *argv0, ...) {
    RUN_LIST(kExec, path, va_arg(list, strings));
}
