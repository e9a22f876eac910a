/* reply.c: what a daemon, or whoever sits at its socket, may answer the shim, in pieces of any size.
 *
 * Input: a byte that says how the answer is cut in pieces, a byte for what goes wrong with writing and whether a file
 * comes along, then two bytes of its size and what is in it, if so, then the answer. The shim is shims/rg.c itself; only its system calls are ours. Held: it ends by leaving or by becoming the real rg, never
 * the latter after it has shown a byte; what it has shown is what the frames say, in their order; nothing that is
 * not there is read.
 */
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What sys.h includes, before its machine is hidden from it: that has it define no start of a process. */
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/socket.h>
#include <asm/unistd.h>
#include <linux/auxvec.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/stat.h>
#undef __x86_64__
#undef __aarch64__

#define HOLDS(what) ((what) ? (void)0 : (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what), abort()))

/* ---- the system as the shim sees it ---- */

#define CURSERVE_SYSCALL_H
enum { kConnection = 7, kTrace = 8, kFile = 9, kMostShown = 1 << 20 };
static struct {
    const uint8_t *at;
    size_t left, piece;
    uint8_t trouble;                    /* bit 0: writes are short; bit 1: reads come late; bit 2: stdout's reader is gone;
                                         * bit 4: a file comes with the first piece; bit 5: it may still change */
    uint8_t *file;                      /* its bytes, and nothing around them; null: none */
    size_t file_size;
    int sent_file, used_file;           /* the second is the model's */
    unsigned reads;
    uint64_t now_ns;
    uint8_t shown[3][kMostShown];
    size_t size[3];
    int code;                           /* of leaving; -1: became the real rg */
    jmp_buf left_by;
} sys;

static long add_shown(int fd, const void *bytes, size_t size) {
    if (fd == kTrace) {
        for (size_t at = 0; at < size; at++) sys.code ^= ((const uint8_t *)bytes)[at] & 0;      /* they must be there */
        return (long)size;
    }
    HOLDS(fd == 1 || fd == 2);
    if ((sys.trouble & 4) && fd == 1 && sys.size[1] > 100) return -EPIPE;
    if ((sys.trouble & 1) && size > 1) size = 1 + size % 7 < size ? 1 + size % 7 : 1;
    HOLDS(sys.size[fd] + size <= kMostShown);
    memcpy(sys.shown[fd] + sys.size[fd], bytes, size);
    sys.size[fd] += size;
    return (long)size;
}

static long sys_call(long number, long a, long b, long c, long d, long e, long f) {
    (void)d, (void)e, (void)f;
    switch (number) {
    case __NR_recvmsg: {
        struct message {
            void *name; int name_size; struct { uint8_t *base; size_t size; } *iov; size_t iov_count;
            struct { size_t size; int level, type, fd; } *control; size_t control_size; int flags;
        } *message = (void *)b;
        HOLDS(a == kConnection && message->iov_count == 1 && message->control_size >= 20);
        if ((sys.trouble & 2) && sys.reads++ % 3 == 0) return -EAGAIN;
        size_t size = message->iov->size < sys.left ? message->iov->size : sys.left;
        if (size > sys.piece) size = sys.piece;
        memcpy(message->iov->base, sys.at, size);
        message->control_size = 0;
        if (sys.file && !sys.sent_file) {
            sys.sent_file = 1;
            message->control->size = 20, message->control->level = SOL_SOCKET, message->control->type = 1;
            message->control->fd = kFile;
            message->control_size = 24;
        }
        sys.at += size;
        sys.left -= size;
        return (long)size;
    }
    case __NR_write: return add_shown((int)a, (const void *)b, (size_t)c);
    case __NR_writev: {
        const struct { const void *base; size_t size; } *iov = (const void *)b;
        long all = 0;
        for (long i = 0; i < c; i++) {
            long one = add_shown((int)a, iov[i].base, iov[i].size);
            if (one < 0) return all ? all : one;
            all += one;
            if ((size_t)one < iov[i].size) break;
        }
        return all;
    }
    case __NR_clock_gettime: {
        int64_t *to = (int64_t *)b;
        sys.now_ns += 20000;
        to[0] = (int64_t)(sys.now_ns / 1000000000), to[1] = (int64_t)(sys.now_ns % 1000000000);
        return 0;
    }
    case __NR_ppoll: return 1;
    case __NR_openat: return strcmp((const char *)b, "/trace") == 0 ? kTrace : -ENOENT;
    case __NR_statx: {
        struct statx *to = (struct statx *)e;
        memset(to, 0, sizeof *to);
        if (a == kFile) {
            to->stx_size = sys.file_size;
            return 0;
        }
        if (strcmp((const char *)b, "/rg") != 0) return -ENOENT;
        to->stx_mode = 0100755;
        return 0;
    }
    case __NR_fcntl: return a != kFile ? -EINVAL : sys.trouble & 32 ? F_SEAL_GROW : F_SEAL_SHRINK | F_SEAL_WRITE;
    case __NR_mmap: {
        HOLDS(e == kFile && b > 0 && (size_t)b <= sys.file_size);
        return (long)sys.file;
    }
    case __NR_execve:
        HOLDS(strcmp((const char *)a, "/rg") == 0);
        sys.code = -1;
        longjmp(sys.left_by, 1);
    case __NR_exit_group:
        sys.code = (int)a;
        longjmp(sys.left_by, 1);
    default: return number == __NR_sched_yield || number == __NR_close || number == __NR_rt_sigaction ? 0 : -ENOSYS;
    }
}

#define memcpy shim_memcpy
#define memmove shim_memmove
#define memset shim_memset
#define memcmp shim_memcmp
#define strlen shim_strlen
#include "../../shims/rg.c"
#undef memcpy

/* ---- what the frames say ---- */

enum { kWhole = -1 };

/* Reads frames as long as they are sound. Gives the type of the one that ended it, 0 where the answer broke off, kWhole
 * where a file's frames go on behind it. */
static int frames(const uint8_t *at, size_t left, int in_file, uint8_t *said[3], size_t said_size[3]) {
    struct cs_wire_head head;
    while (left >= sizeof head) {
        memcpy(&head, at, sizeof head);
        at += sizeof head, left -= sizeof head;
        if (head.magic != CS_WIRE_MAGIC || head.version != CS_WIRE_VERSION || head.size > CS_WIRE_MAX_REPLY) return 0;
        if (head.type != CS_WIRE_STDOUT && head.type != CS_WIRE_STDERR) {
            if (head.type == CS_WIRE_PIPE && head.size == 4 && left >= 4) {
                at += 4, left -= 4;
                continue;
            }
            uint64_t size;
            if (head.type == CS_WIRE_FILE && head.size == sizeof size && left >= sizeof size && sys.file && !in_file) {
                memcpy(&size, at, sizeof size);
                at += sizeof size, left -= sizeof size;
                if (size == 0 || size > sys.file_size || (sys.trouble & 32) || sys.used_file++) return 0;
                int ended = frames(sys.file, size, 1, said, said_size);
                if (ended != kWhole) return ended;
                continue;
            }
            return head.type == CS_WIRE_EXIT && head.size == sizeof(struct cs_wire_exit) && left >= head.size ? CS_WIRE_EXIT : 0;
        }
        int fd = head.type == CS_WIRE_STDOUT ? 1 : 2;
        size_t size = head.size < left ? head.size : left;
        memcpy(said[fd] + said_size[fd], at, size);
        said_size[fd] += size;
        at += size, left -= size;
        if (size < head.size) return 0;
    }
    return in_file && left == 0 ? kWhole : 0;
}

static uint8_t said[3][kMostShown];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > kMostShown / 2) return 0;
    static char zero[] = "rg", word[] = "needle\xff\"", *arguments[4] = {zero, word, word, NULL}, *environment[3];
    memset(&shim, 0, offsetof(__typeof__(shim), buffer));
    memset(&sys, 0, offsetof(__typeof__(sys), shown));
    memset(sys.size, 0, sizeof sys.size);
    sys.piece = ((size_t)data[0] + 1) * ((size_t)data[0] + 1);
    sys.trouble = data[1];
    sys.at = data + 2;
    sys.left = size - 2;
    if ((sys.trouble & 16) && sys.left >= 2) {
        sys.file_size = (size_t)sys.at[0] << 8 | sys.at[1];
        sys.at += 2, sys.left -= 2;
        if (sys.file_size > sys.left) sys.file_size = sys.left;
        sys.file = malloc(sys.file_size + !sys.file_size);
        HOLDS(sys.file);
        memcpy(sys.file, sys.at, sys.file_size);
        sys.at += sys.file_size, sys.left -= sys.file_size;
    }
    const uint8_t *const answer_at = sys.at;
    const size_t answer_size = sys.left;
    shim.pending.count = 0;
    shim.file_fd = -1;
    shim.frame.left = 0;
    environment[0] = NULL;
    shim.argc = 3;
    shim.real.argv = arguments;
    shim.real.envp = environment;
    shim.real.set = "/rg";
    shim.fd = kConnection;
    shim.trace = data[1] & 8 ? "/trace" : NULL;
    shim.pipe_code = -1;
    if (setjmp(sys.left_by) == 0) answer();

    uint8_t *texts[3] = {NULL, said[1], said[2]};
    size_t sizes[3] = {0, 0, 0};
    int ended = frames(answer_at, answer_size, 0, texts, sizes);
    free(sys.file);
    if (sys.code < 0) {
        HOLDS(sys.size[1] == 0 && sys.size[2] == 0);
        return 0;
    }
    HOLDS(sys.size[1] <= sizes[1] && memcmp(sys.shown[1], said[1], sys.size[1]) == 0);
    if (ended == CS_WIRE_EXIT && !(sys.trouble & 4)) {
        HOLDS(sys.size[1] == sizes[1] && sys.size[2] == sizes[2]);
        HOLDS(memcmp(sys.shown[2], said[2], sizes[2]) == 0);
    }
    return 0;
}
