/* real.h: the real ripgrep: where it is, and becoming it.
 *
 * In: argv, envp and the names below. Out: nothing: real_run() does not return.
 * Candidates, in this order, each with a slot number that is the same from process to process:
 *   0     $CURSERVE_REAL_RG, a path
 *   1     $CURSERVE_ASKED, the program the preload library was asked for (taken out of the environment)
 *   2...  `rg` in each entry of PATH; an empty or relative entry means what it means to execvp
 *   then  `real-rg` beside this program: a program or a link to one
 *   then  the path in `real-rg.path` beside this program (its first line; a relative one starts from that directory)
 * Invariant: no endless recursion. (a) A candidate that is this very file, or an ELF file with our note in its first
 * 4 KiB (a copy, an older build), is never executed. (b) What we execute gets CURSERVE_HOP=pid.depth.slot. A wrapper
 * script taken for a real rg that comes back here by exec has the same pid: then the search goes on behind that slot.
 * One that comes back through a fork has a greater depth: from kHopDepth on, each step begins one slot later, and
 * kHopEnd ends it. ripgrep itself does not look at CURSERVE_HOP.
 */
#ifndef CURSERVE_REAL_H
#define CURSERVE_REAL_H
#include "sys.h"
#include "text.h"

#define REAL_MARK "\x8f" "curserve-shim\x91\x0a"
enum { kHopDepth = 8, kHopEnd = 100, kSlotBeside = 1 << 20, kSlotWritten };

/* The note that makes every copy of us known, stripped or not. Linkers keep notes near the start of the file. */
__attribute__((used, section(".note.curserve"), aligned(4))) static const struct {
    uint32_t name_size, mark_size, type;
    char name[12];
    char mark[16];
} real_note = {9, 16, 1, "curserve", REAL_MARK};

struct real {
    char **argv;
    char **envp;
    const char *set;      /* CURSERVE_REAL_RG */
    const char *asked;    /* CURSERVE_ASKED */
    const char *path;     /* PATH */
    long depth;           /* of declines within declines; 0: none above us */
    long first_slot;
    int looped;           /* the very process came back here by exec */
    char *hop;            /* the environment's last entry, "" while it is being tried without */
    char **hop_place;
    uint64_t dev, ino;    /* this program's identity; ino 0: unknown */
};

static char real_name[SYS_PATH_MAX];     /* a candidate's path */
static char real_hop[64];

/* What CURSERVE_HOP says (null: nothing). */
static void real_heed(struct real *real, const char *hop) {
    long pid, depth, slot;
    if (!hop || (pid = text_parse(&hop)) < 0 || *hop++ != '.' || (depth = text_parse(&hop)) < 0 || *hop++ != '.' ||
        (slot = text_parse(&hop)) < 0)
        return;
    real->depth = depth;
    real->looped = pid == sys_getpid();
    if (real->looped) real->first_slot = slot + 1;
    else if (depth > kHopDepth) real->first_slot = depth - kHopDepth;
}

/* Whether `path` is a file that may be a real rg: regular, executable by someone, not us. */
static int real_may_be(const struct real *real, const char *path) {
    static char start[4096];
    struct statx stat;
    if (sys_statx(AT_FDCWD, path, 0, STATX_TYPE | STATX_MODE | STATX_INO, &stat) < 0) return 0;
    if ((stat.stx_mode & 0170000) != 0100000 || !(stat.stx_mode & 0111)) return 0;
    if (stat.stx_ino == real->ino && sys_dev(stat.stx_dev_major, stat.stx_dev_minor) == real->dev) return 0;
    long fd = sys_openat(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    if (fd < 0) return 1;                /* may be executed and not read: the hop still guards us */
    long size = sys_read((int)fd, start, sizeof start);
    sys_close((int)fd);
    if (size < 64 || memcmp(start, "\x7f" "ELF", 4) != 0) return 1;
    for (long at = 0; at + 16 <= size; at++)
        if (memcmp(start + at, real_note.mark, 16) == 0) return 0;
    return 1;
}

/* Becomes `path` if that may be. Returns when it may not. */
static void real_try(struct real *real, long slot, const char *path) {
    if (slot < real->first_slot || !*path || !real_may_be(real, path)) return;
    struct text hop = {real_hop, real_hop + sizeof real_hop - 1, 0};
    text_add(&hop, "CURSERVE_HOP=");
    text_number(&hop, (uint64_t)sys_getpid());
    text_byte(&hop, '.');
    text_number(&hop, (uint64_t)real->depth + 1);
    text_byte(&hop, '.');
    text_number(&hop, (uint64_t)slot);
    *hop.at = 0;
    *real->hop_place = real_hop;
    if (sys_execve(path, real->argv, real->envp) == -E2BIG) {
        *real->hop_place = NULL;         /* the mark was the straw */
        sys_execve(path, real->argv, real->envp);
    }
}

/* Takes our own variables out of the environment and keeps the last place for the hop. The array needs one slot more
 * than it may have: the terminating null and the first word of the auxiliary vector behind it are ours to overwrite,
 * since nobody reads that vector any more. */
static void real_environment(struct real *real) {
    char **to = real->envp;
    for (char **from = real->envp; *from; from++)
        if (!text_value(*from, "CURSERVE_ASKED") && !text_value(*from, "CURSERVE_HOP")) *to++ = *from;
    to[0] = NULL;
    to[1] = NULL;
    real->hop_place = to;
}

static void real_in_path(struct real *real) {
    long slot = 2;
    const char *entry = real->path ? real->path : "/bin:/usr/bin";      /* as execvp without PATH */
    for (;; slot++) {
        struct text name = {real_name, real_name + sizeof real_name - 1, 0};
        const char *start = entry;
        while (*entry && *entry != ':') text_byte(&name, (unsigned char)*entry++);
        text_add(&name, entry == start ? "./rg" : "/rg");
        *name.at = 0;
        if (!name.cut) real_try(real, slot, real_name);
        if (!*entry++) return;
    }
}

static void real_beside(struct real *real) {
    long size = sys_readlink("/proc/self/exe", real_name, sizeof real_name);
    if (size <= 0 || size >= (long)sizeof real_name) return;
    while (size && real_name[size - 1] != '/') size--;
    struct text name = {real_name + size, real_name + sizeof real_name - 1, 0};
    text_add(&name, "real-rg");
    *name.at = 0;
    if (name.cut) return;
    real_try(real, kSlotBeside, real_name);
    text_add(&name, ".path");
    *name.at = 0;
    long fd = name.cut ? -1 : sys_openat(real_name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    if (fd < 0) return;
    static char line[SYS_PATH_MAX];
    long length = sys_read((int)fd, line, sizeof line - 1);
    sys_close((int)fd);
    for (long at = 0; at < length; at++)
        if (line[at] == '\n') line[at] = 0;
    if (length <= 0 || !line[0]) return;
    if (line[0] == '/') return real_try(real, kSlotWritten, line);
    name.at = real_name + size;
    text_add(&name, line);
    *name.at = 0;
    if (!name.cut) real_try(real, kSlotWritten, real_name);
}

static _Noreturn void real_run(struct real *real) {
    static const char none[] = "rg: curserve is not answering and no real ripgrep was found; "
                               "install ripgrep or set CURSERVE_REAL_RG\n";
    struct statx self;
    if (sys_statx(AT_FDCWD, "/proc/self/exe", 0, STATX_INO, &self) == 0) {
        real->ino = self.stx_ino;
        real->dev = sys_dev(self.stx_dev_major, self.stx_dev_minor);
    }
    real_environment(real);
    if (real->depth < kHopEnd) {
        if (real->set) real_try(real, 0, real->set);
        if (real->asked) real_try(real, 1, real->asked);
        real_in_path(real);
        real_beside(real);
    }
    sys_write(2, none, sizeof none - 1);
    sys_exit(2);
}

#endif
