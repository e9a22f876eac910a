/* file.h: what can be told from a program's file before it is executed.
 *
 * In: a path. Out: struct file_facts. A few system calls and 3 KiB of stack (twice that for a script); nothing else is
 * touched, errno neither.
 * Invariant: a file that cannot be read or understood comes out with all facts false, and so is left alone.
 * Not here: symbolic names of programs, decisions.
 */
#ifndef CURSERVE_FILE_H
#define CURSERVE_FILE_H
#include <asm/unistd.h>
#include <elf.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <stddef.h>
#include <stdint.h>

#include "decide.h"
#include "syscall.h"

#if defined(__x86_64__)
#define FILE_MACHINE EM_X86_64
#else
#define FILE_MACHINE EM_AARCH64
#endif
#define FILE_MARK "\x8f" "curserve-shim\x91\x0a"       /* the note of shims/real.h */
enum { kFileHead = 1024, kFileNeeded = 64 };

static inline int file_identify(int fd, const char *path, int flags, struct statx *to) {
    return sys_call(__NR_statx, fd, (long)path, flags, STATX_TYPE | STATX_MODE | STATX_INO, (long)to, 0) == 0;
}

static inline int file_same(const struct statx *left, const struct statx *right) {
    return left->stx_ino == right->stx_ino && left->stx_dev_major == right->stx_dev_major &&
           left->stx_dev_minor == right->stx_dev_minor;
}

static inline long file_read(int fd, void *to, size_t size, uint64_t offset) {
    return sys_call(__NR_pread64, fd, (long)to, (long)size, (long)offset, 0, 0);
}

static inline int file_begins(const char *text, const char *with) {
    while (*with && *text == *with) text++, with++;
    return *with == 0;
}

/* AddressSanitizer and its kin stop a process in which another library was loaded before theirs. */
static inline int file_names_sanitizer(const char *library) {
    return file_begins(library, "libasan.") || file_begins(library, "libtsan.") || file_begins(library, "liblsan.") ||
           file_begins(library, "libhwasan.") || file_begins(library, "libclang_rt.");
}

/* Whether an ELF file whose first `size` bytes are `head` needs a sanitizer's library. */
static inline int file_needs_sanitizer(int fd, const char *head, size_t size) {
    Elf64_Ehdr elf;
    Elf64_Phdr part, dynamic;
    Elf64_Dyn entry;
    uint64_t names = 0;
    int found = 0;
    __builtin_memcpy(&elf, head, sizeof elf);
    if (elf.e_phentsize != sizeof part || elf.e_phoff > size) return 0;
    if (elf.e_phnum > (size - elf.e_phoff) / sizeof part) return 0;
    for (unsigned i = 0; i < elf.e_phnum && !found; i++) {
        __builtin_memcpy(&dynamic, head + elf.e_phoff + i * sizeof part, sizeof dynamic);
        found = dynamic.p_type == PT_DYNAMIC;
    }
    if (!found) return 0;
    Elf64_Dyn table[kFileNeeded];
    long got = file_read(fd, table, sizeof table, dynamic.p_offset);
    unsigned count = got > 0 ? (unsigned)((unsigned long)got / sizeof entry) : 0;
    for (unsigned i = 0; i < count && table[i].d_tag != DT_NULL; i++)
        if (table[i].d_tag == DT_STRTAB) names = table[i].d_un.d_ptr;
    if (!names) return 0;
    for (unsigned i = 0; i < elf.e_phnum; i++) {
        __builtin_memcpy(&part, head + elf.e_phoff + i * sizeof part, sizeof part);
        if (part.p_type != PT_LOAD || names < part.p_vaddr || names - part.p_vaddr >= part.p_filesz) continue;
        names = names - part.p_vaddr + part.p_offset;
        for (unsigned k = 0; k < count && table[k].d_tag != DT_NULL; k++) {
            char name[16] = {0};
            if (table[k].d_tag != DT_NEEDED) continue;
            if (file_read(fd, name, sizeof name - 1, names + table[k].d_un.d_val) <= 0) continue;
            if (file_names_sanitizer(name)) return 1;
        }
        return 0;
    }
    return 0;
}

/* `depth`: how many interpreters of scripts may still be followed. */
static inline void file_look(const char *path, int depth, struct file_facts *to) {
    char head[kFileHead];
    struct statx stat;
    *to = (struct file_facts){0, 0, 0, 0, 0, 0, 0};
    if (!file_identify(AT_FDCWD, path, 0, &stat) || (stat.stx_mode & 0170000) != 0100000) return;
    if (sys_call(__NR_faccessat, AT_FDCWD, (long)path, 1, 0, 0, 0) < 0) return;
    to->runs = 1;
    to->raised = (stat.stx_mode & 06000) != 0;
    long fd = sys_call(__NR_openat, AT_FDCWD, (long)path, 02000000 /* O_CLOEXEC */, 0, 0, 0);
    if (fd < 0) return;
    long size = file_read((int)fd, head, sizeof head, 0);
    if (size >= (long)sizeof(Elf64_Ehdr) && file_begins(head, "\x7f" "ELF")) {
        to->elf = head[EI_CLASS] == ELFCLASS64 && head[18] == (char)FILE_MACHINE && head[19] == 0;
        to->foreign = !to->elf;
        for (long at = 0; at + 16 <= size; at++)
            if (__builtin_memcmp(head + at, FILE_MARK, 16) == 0) to->ours = 1;
        if (to->elf) to->sanitizer = file_needs_sanitizer((int)fd, head, (size_t)size);
    }
    sys_call(__NR_close, fd, 0, 0, 0, 0, 0);
    if (size < 4 || head[0] != '#' || head[1] != '!') return;
    to->script = 1;
    long at = 2, end;
    while (at < size && (head[at] == ' ' || head[at] == '\t')) at++;
    for (end = at; end < size && head[end] > ' '; end++) {}
    if (depth <= 0 || end == size || end == at) return;
    head[end] = 0;
    struct file_facts interpreter;
    file_look(head + at, depth - 1, &interpreter);
    to->sanitizer = interpreter.sanitizer;
    to->foreign = interpreter.foreign;
}

/* The path behind a link of the kernel's (/proc/self/exe, /proc/self/fd/7), if it still leads to the same file.
 * Returns its size, or 0. Not for a file that was deleted or lives in no directory. */
static inline long file_behind(const char *link, char *to, size_t size) {
    struct statx there, named;
    long got = sys_call(__NR_readlinkat, AT_FDCWD, (long)link, (long)to, (long)size - 1, 0, 0);
    if (got <= 0 || got >= (long)size - 1 || to[0] != '/') return 0;
    to[got] = 0;
    if (!file_identify(AT_FDCWD, link, 0, &there) || !file_identify(AT_FDCWD, to, 0, &named)) return 0;
    return file_same(&there, &named) ? got : 0;
}

#endif
