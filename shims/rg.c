/* rg.c: the shim: the program `rg` that asks the daemon and, when that does not answer, becomes the real ripgrep.
 *
 * In: argv, environment, cwd, descriptors 0 to 2. Out: what ripgrep would print, and its exit code.
 * Invariant: until the first output byte any trouble ends in an exec of the real rg with the same argv, environment
 * (plus CURSERVE_HOP, see real.h), cwd and descriptors; after it, in a message and exit code 2. Never in both.
 * We ask for large answers in a file that comes with their end (not on a terminal, where someone is watching): so a daemon
 * that is killed in the middle of one costs time and nothing else.
 * Not here: any knowledge of ripgrep's flags or output. stdin is never read.
 *
 * Environment (empty counts as unset):
 *   CURSERVE_DISABLE     anything but "0": the real rg at once
 *   CURSERVE_SOCKET      the daemon's socket; else that of /run/user/UID/curserve or /tmp/curserve-UID, whichever is a
 *                        directory, ours and of mode 0700
 *   CURSERVE_TIMEOUT_MS  wait so long for the first output byte (default 4000, so that the real rg can still answer a
 *                        caller that waits 10 s; 0: no limit)
 *   CURSERVE_TRACE       a file to append one JSON line to: {"served","reason","argv","us"}; argv without argv[0]; a
 *                        byte that is not UTF-8 is written \u00XX; arguments that do not fit 128 KiB are left out and
 *                        counted in "argv_cut"; unknown times are 0
 *   CURSERVE_REAL_RG, CURSERVE_ASKED: see real.h
 *
 * Reasons in the trace: the daemon's word, or one of disabled recursion privileged argv_layout closed_fd cwd too_large
 * no_daemon no_fd sandbox busy peer lost timeout poll version protocol file declined (DECLINE without a word) output; after
 * the first byte the text of the message.
 *
 * System calls of a served request, and why: clock_gettime (the limit's start), statx of the socket's directory (owner;
 * not with CURSERVE_SOCKET), socket, connect, getsockopt (whose daemon), statx of fd 0 to 2 (an ioctl more for what may
 * be a terminal), getcwd, statx of "." and "/" (identity), sendmsg, clock_gettime, recvmsg (again and again with
 * clock_gettime and sched_yield for kSpinUs, then after a ppoll), rt_sigaction (only before output into a pipe or
 * socket), write or writev, exit_group. For what comes in a file: fcntl (its seals), statx (its size), mmap.
 *
 * No daemon: one more statx, of the file that a daemon leaves which may be started again (wake.h).
 *
 * Memory: one buffer of 128 KiB in .bss, of which only the pages in use are touched. No allocation.
 *
 * Build (the one place for the flags; x86-64 and aarch64):
 * cc -std=c17 -Os -Wall -Wextra -Wconversion -Werror -ffreestanding -fno-builtin -fno-stack-protector -fno-pie \
 *    -fcf-protection=none -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-ident -nostdlib -static -no-pie \
 *    -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-z,noexecstack -Wl,--gc-sections -s -o rg \
 *    shims/rg.c
 */
#include "real.h"
#include "sys.h"
#include "text.h"
#include "wake.h"
#include "wire.h"

enum { kTimeoutMs = 4000, kStalledMs = 60000, kPieces = 64, kMemoryMajor = 1 };
/* How long to ask for the answer again and again, giving way to others, before we sleep: an answer from memory is there
 * sooner than a core that went idle is back. */
enum { kSpinUs = 200 };

static const char *const sent_names[] = CS_WIRE_ENV;
enum { kSentNames = sizeof sent_names / sizeof *sent_names };
_Static_assert(sizeof(struct cs_wire_head) == 12, "the head's layout is for ever");

/* All that a served search writes to, in one piece: with a short reply it is one page that the kernel has to make. Zero at
 * first, as nothing else is: a page of the program's file would be copied for it. */
static struct shim {
    struct real real;
    long argc;
    const char *sent[kSentNames];
    const char *socket, *trace;
    uint32_t uid;
    int fd;                             /* the connection */
    long timeout_ms;                    /* 0: none */
    uint64_t start_us, deadline_us;     /* deadline 0: none */
    uint32_t kind[3];
    int shown;                          /* the first output byte is out */
    int complained;                     /* bytes for stderr came */
    int pipe_ignored;
    long pipe_code;                     /* -1: not told */
    struct sys_sigaction pipe_before;
    int file_fd;                        /* the file that came last, or -1; it ends with us */
    struct {
        uint32_t left;                  /* bytes to come of the frame of output we are in */
        int fd;                         /* where they belong */
    } frame;
    /* Bytes of the buffer that wait for one descriptor. Shown together: a reply of many small frames is one writev. */
    struct { struct sys_iovec iov[kPieces]; int count; int fd; } pending;
    unsigned char buffer[128 * 1024];   /* replies as they come in; at the end the trace's line */
} shim __attribute__((aligned(4096)));

static void trace(const char *reason, const struct cs_wire_exit *times) {
    static const struct cs_wire_exit unknown;
    if (!shim.trace) return;
    uint64_t total_us = sys_now_us() - shim.start_us;
    long fd = sys_openat(shim.trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0) return;
    if (!times) times = &unknown;
    /* 512 bytes stay free for what follows the arguments. */
    struct text line = {(char *)shim.buffer, (char *)shim.buffer + sizeof shim.buffer - 512, 0};
    text_add(&line, reason ? "{\"served\":false,\"reason\":" : "{\"served\":true,\"reason\":null");
    if (reason) text_json(&line, reason, strlen(reason));
    text_add(&line, ",\"argv\":[");
    long cut = 0;
    for (long i = 1; i < shim.argc; i++) {
        struct text before = line;
        if (i > 1) text_byte(&line, ',');
        text_json(&line, shim.real.argv[i], strlen(shim.real.argv[i]));
        if (!line.cut) continue;
        line = before;
        cut = shim.argc - i;
        break;
    }
    line.end += 512;
    text_byte(&line, ']');
    if (cut) text_add(&line, ",\"argv_cut\":"), text_number(&line, (uint64_t)cut);
    text_add(&line, ",\"us\":{\"total\":"), text_number(&line, total_us);
    text_add(&line, ",\"plan\":"), text_number(&line, times->plan_us);
    text_add(&line, ",\"barrier\":"), text_number(&line, times->barrier_us);
    text_add(&line, ",\"search\":"), text_number(&line, times->search_us);
    text_add(&line, ",\"daemon\":"), text_number(&line, times->total_us);
    text_add(&line, "}}\n");
    sys_write((int)fd, shim.buffer, (size_t)(line.at - (char *)shim.buffer));
    sys_close((int)fd);
}

static _Noreturn void decline(const char *reason) {
    static char copy[CS_WIRE_MAX_REASON + 1];   /* a reason from the wire lies in the buffer the trace writes to */
    size_t size = 0;
    for (; reason[size] && size < sizeof copy - 1; size++) copy[size] = reason[size];
    trace(copy, NULL);
    if (shim.pipe_ignored) sys_sigaction(SYS_SIGPIPE, &shim.pipe_before, NULL);
    real_run(&shim.real);
}

static _Noreturn void fail(const char *why, long error) {
    char message[256];
    struct text line = {message, message + sizeof message, 0};
    text_add(&line, "rg: ");
    text_add(&line, why);
    if (error) text_add(&line, " (os error "), text_number(&line, (uint64_t)error), text_byte(&line, ')');
    text_byte(&line, '\n');
    sys_write(2, message, (size_t)(line.at - message));
    trace(why, NULL);
    sys_exit(2);
}

/* Before the first output byte the real rg takes over; after it that would print twice. */
static _Noreturn void trouble(const char *reason, const char *message) {
    if (shim.shown) fail(message, 0);
    decline(reason);
}

/* Waits for the daemon. */
static void wait_for(short events) {
    for (;;) {
        struct sys_pollfd poll = {shim.fd, events, 0};
        struct sys_timespec limit = {kStalledMs / 1000, 0};
        const struct sys_timespec *wait = &limit;
        if (!shim.shown) {
            uint64_t now_us = shim.deadline_us ? sys_now_us() : 0;
            if (shim.deadline_us && now_us >= shim.deadline_us) decline("timeout");
            if (shim.deadline_us) {
                limit.s = (int64_t)((shim.deadline_us - now_us) / 1000000u);
                limit.ns = (int64_t)((shim.deadline_us - now_us) % 1000000u * 1000u);
            } else {
                wait = NULL;
            }
        }
        long ready = sys_poll(&poll, 1, wait);
        if (ready > 0) return;
        if (ready == 0) trouble("timeout", "curserve: the daemon stalled in the middle of an answer");
        if (ready != -EINTR) trouble("poll", "curserve: lost the daemon in the middle of an answer");
    }
}

/* ---- the question ---- */

static void describe(int fd, struct cs_wire_fd *to) {
    struct statx stat;
    if (sys_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO, &stat) < 0) decline("closed_fd");
    unsigned char termios[64];          /* the kernel's struct is 36 bytes */
    switch (stat.stx_mode & 0170000) {
    case 0100000:
        to->kind = CS_FD_FILE;
        to->dev = sys_dev(stat.stx_dev_major, stat.stx_dev_minor);
        to->ino = stat.stx_ino;
        break;
    case 0010000: to->kind = CS_FD_FIFO; break;
    case 0140000: to->kind = CS_FD_SOCKET; break;
    case 0020000:                       /* /dev/null and its like are no terminals */
        to->kind = stat.stx_rdev_major != kMemoryMajor && sys_ioctl(fd, TCGETS, termios) == 0 ? CS_FD_TTY : CS_FD_CHAR;
        break;
    default: to->kind = CS_FD_OTHER;
    }
    shim.kind[fd] = to->kind;
}

/* Puts directory and "/socket" into `to` if the directory is ours and nobody else's. */
static int place(struct text *to, const char *before, const char *behind) {
    struct statx stat;
    char *start = to->at;
    text_add(to, before);
    text_number(to, shim.uid);
    text_add(to, behind);
    *to->at = 0;
    if (sys_statx(AT_FDCWD, start, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_MODE | STATX_UID, &stat) < 0 ||
        stat.stx_mode != (0040000 | 0700) || stat.stx_uid != shim.uid) {
        to->at = start;
        return 0;
    }
    text_add(to, "/socket");
    return 1;
}

/* A sandbox that lets nobody connect mostly lets an existing FIFO be written: the daemon counts the bytes. `path`: the
 * socket's, within `start`. */
static const char *refused(const char *start, struct text *path) {
    struct statx stat;
    static const char word[] = "!";
    text_add(path, CS_REFUSED_SUFFIX);
    *path->at = 0;
    long fd = path->cut ? -1 : sys_openat(start, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0);
    if (fd < 0) return "sandbox";
    if (sys_statx((int)fd, "", AT_EMPTY_PATH, STATX_TYPE, &stat) == 0 && (stat.stx_mode & 0170000) == 0010000)
        sys_write((int)fd, word, 1);
    sys_close((int)fd);
    return "sandbox";
}

/* Connects to the socket at shim.socket, or at one of our two places. Returns null or why not. The socket does not
 * block: a daemon with a full backlog shows as EAGAIN. */
static const char *connect_daemon(void) {
    for (int attempt = 0; attempt < (shim.socket ? 1 : 2); attempt++) {
        struct sys_sockaddr_un address = {SYS_AF_UNIX, {0}};
        struct text path = {address.path, address.path + sizeof address.path - 1, 0};
        if (shim.socket) text_add(&path, shim.socket);
        else if (!(attempt ? place(&path, "/tmp/curserve-", "") : place(&path, "/run/user/", "/curserve"))) continue;
        if (path.cut) return "no_daemon";
        long fd = sys_socket(SYS_AF_UNIX, SYS_SOCK_STREAM | O_CLOEXEC | O_NONBLOCK, 0);
        if (fd == -EMFILE || fd == -ENFILE) return "no_fd";
        if (fd < 0) return refused(address.path, &path);
        if (fd < 3) {                   /* one of ripgrep's own was closed, and is to be so for the real one */
            sys_close((int)fd);
            return "closed_fd";
        }
        long error = sys_connect((int)fd, &address, sizeof address);
        if (error == 0) {
            struct sys_ucred peer = {0, ~shim.uid, 0};
            int size = sizeof peer;
            shim.fd = (int)fd;
            if (sys_getsockopt((int)fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return "peer";
            return peer.uid == shim.uid ? NULL : "peer";
        }
        sys_close((int)fd);
        if (error == -EPERM || error == -EACCES) return refused(address.path, &path);
        if (error == -EAGAIN) return "busy";
        if (!shim.socket) path.at -= sizeof "socket" - 1;       /* the start file is beside it, or its name goes on */
        text_add(&path, shim.socket ? ".start" : "start");
        *path.at = 0;
        if (!path.cut) wake(address.path, shim.uid);
    }
    return "no_daemon";
}

/* Connects early: what the daemon does with a new connection it does while we look around. */
static void ask(void) {
    struct cs_wire_request request;
    memset(&request, 0, sizeof request);
    const char *reason = connect_daemon();
    if (reason) decline(reason);
    for (int fd = 0; fd < 3; fd++) describe(fd, &request.fd[fd]);
    char *cwd = (char *)shim.buffer;    /* free until the answer comes, and one page less to touch */
    struct { struct cs_wire_head head; struct cs_wire_request request; } __attribute__((packed)) start;
    struct sys_iovec iov[3 + kSentNames];
    struct statx stat;
    uint64_t size = 0;
    size_t count = 3;
    /* A cwd that is gone or out of reach comes back as an error or as "(unreachable)...". */
    long cwd_size = sys_getcwd(cwd, SYS_PATH_MAX);
    if (cwd_size <= 0 || cwd[0] != '/') decline("cwd");
    if (sys_statx(AT_FDCWD, ".", 0, STATX_TYPE | STATX_INO | STATX_MNT_ID, &stat) < 0) decline("cwd");
    request.cwd_dev = sys_dev(stat.stx_dev_major, stat.stx_dev_minor);
    request.cwd_ino = stat.stx_ino;
    request.cwd_mnt = stat.stx_mask & STATX_MNT_ID ? stat.stx_mnt_id : 0;       /* 0: before Linux 5.8 */
    if (sys_statx(AT_FDCWD, "/", 0, STATX_TYPE | STATX_INO, &stat) < 0) decline("cwd");
    request.root_dev = sys_dev(stat.stx_dev_major, stat.stx_dev_minor);
    request.root_ino = stat.stx_ino;
    iov[1] = (struct sys_iovec){cwd, (size_t)cwd_size};
    size += (uint64_t)cwd_size;
    /* The kernel lays the arguments out one behind the other: one piece, nothing copied. */
    const char *first = shim.argc > 1 ? shim.real.argv[1] : NULL, *end = first;
    for (long i = 1; i < shim.argc; i++) {
        if (shim.real.argv[i] != end) decline("argv_layout");
        end += strlen(end) + 1;
    }
    iov[2] = (struct sys_iovec){first, (size_t)(end - first)};
    size += (uint64_t)(end - first);
    for (int i = 0; i < kSentNames; i++) {
        if (!shim.sent[i]) continue;
        iov[count] = (struct sys_iovec){shim.sent[i], strlen(shim.sent[i]) + 1};
        size += iov[count++].size;
    }
    if (size + sizeof request > CS_WIRE_MAX_REQUEST) decline("too_large");
    request.argc = (uint32_t)(shim.argc - 1);
    request.envc = (uint32_t)(count - 3);
    request.strings_size = (uint32_t)size;
    request.flags = shim.kind[1] == CS_FD_TTY ? 0 : CS_ASKS_FILE;
    start.head = (struct cs_wire_head){CS_WIRE_MAGIC, CS_WIRE_VERSION, CS_WIRE_REQUEST,
                                       (uint32_t)(sizeof request + size)};
    start.request = request;
    iov[0] = (struct sys_iovec){&start, sizeof start};

    struct sys_msghdr message = {NULL, 0, iov, count, NULL, 0, 0};
    uint64_t left = sizeof start + size;
    for (;;) {
        long sent = sys_sendmsg(shim.fd, &message, SYS_MSG_NOSIGNAL);
        if (sent == -EINTR) continue;
        if (sent == -EAGAIN) {
            wait_for(POLLOUT);
            continue;
        }
        if (sent < 0) decline("lost");
        if ((left -= (uint64_t)sent) == 0) return;
        for (; (size_t)sent >= message.iov->size; message.iov++, message.iov_count--) sent -= (long)message.iov->size;
        message.iov->base = (const char *)message.iov->base + sent;
        message.iov->size -= (size_t)sent;
    }
}

/* ---- the answer ---- */

/* Writes all of it to descriptor 1 or 2. Without the signal a reader that went away shows as EPIPE; what ripgrep does
 * then was tried on 15.2.0: stdout: stop quietly, see CS_WIRE_PIPE for the code; stderr: exit 0. */
static void show(int fd, struct sys_iovec *iov, int count) {
    if ((shim.kind[fd] == CS_FD_FIFO || shim.kind[fd] == CS_FD_SOCKET) && !shim.pipe_ignored) {
        struct sys_sigaction ignore = {(void *)1, 0, NULL, 0};
        sys_sigaction(SYS_SIGPIPE, &ignore, &shim.pipe_before);
        shim.pipe_ignored = 1;
    }
    while (count > 0) {
        long written = count == 1 ? sys_write(fd, iov->base, iov->size) : sys_writev(fd, iov, count);
        if (written == -EINTR) continue;
        if (written == -EAGAIN) {       /* somebody made it non-blocking; ripgrep would fail here, we need not */
            struct sys_pollfd poll = {fd, POLLOUT, 0};
            sys_poll(&poll, 1, NULL);
            continue;
        }
        if (written == -EPIPE) {
            trace(NULL, NULL);
            sys_exit(fd == 2 ? 0 : shim.pipe_code >= 0 ? (int)shim.pipe_code : shim.complained ? 2 : 0);
        }
        if (written < 0) {
            if (!shim.shown) decline("output");
            fail(written == -ENOSPC ? "No space left on device" : written == -EIO ? "Input/output error"
                 : written == -EDQUOT ? "Disk quota exceeded" : written == -EFBIG ? "File too large" : "write failed",
                 -written);
        }
        if (written > 0) shim.shown = 1;
        for (; count > 0 && (size_t)written >= iov->size; iov++, count--) written -= (long)iov->size;
        if (count > 0) {
            iov->base = (const char *)iov->base + written;
            iov->size -= (size_t)written;
        }
    }
}

static void show_pending(void) {
    if (!shim.pending.count) return;
    int count = shim.pending.count;
    shim.pending.count = 0;
    if (shim.pending.fd == 2) shim.complained = 1;
    show(shim.pending.fd, shim.pending.iov, count);
}

static void add_pending(int fd, const void *bytes, size_t size) {
    if (shim.pending.count == kPieces || (shim.pending.count && shim.pending.fd != fd)) show_pending();
    shim.pending.fd = fd;
    shim.pending.iov[shim.pending.count++] = (struct sys_iovec){bytes, size};
}

static _Noreturn void protocol(const char *reason) {
    shim.pending.count = 0;
    trouble(reason, "curserve: the daemon's answer broke off in the middle");
}

static void take_file(const unsigned char *payload);

/* One frame that must be whole in the buffer; true: there was one. */
static int control_frame(const struct cs_wire_head *head, const unsigned char *at, size_t have) {
    struct cs_wire_exit exit;
    uint32_t code;
    char reason[CS_WIRE_MAX_REASON + 1];
    int stranger = head->version != CS_WIRE_VERSION;
    if (stranger && head->type != CS_WIRE_DECLINE) protocol("version");
    uint32_t limit = head->type == CS_WIRE_DECLINE ? CS_WIRE_MAX_REASON : sizeof exit;
    if (head->size > limit) protocol("protocol");
    if (have < head->size) return 0;
    switch (head->type) {
    case CS_WIRE_EXIT:
        if (head->size != sizeof exit) protocol("protocol");
        memcpy(&exit, at, sizeof exit);
        show_pending();
        trace(NULL, &exit);
        sys_exit((int)(exit.code & 0xff));
    case CS_WIRE_PIPE:
        if (head->size != sizeof code) protocol("protocol");
        memcpy(&code, at, sizeof code);
        show_pending();                 /* what came before it goes by the code from before */
        shim.pipe_code = (long)(code & 0xff);
        return 1;
    case CS_WIRE_FILE:
        if (head->size != sizeof(uint64_t)) protocol("protocol");
        take_file(at);
        return 1;
    case CS_WIRE_DECLINE:
        memcpy(reason, at, head->size);
        reason[head->size] = 0;
        protocol(head->size ? reason : "declined");
    default:
        protocol("protocol");
    }
}

/* Takes frames, and what is there of a frame of output. Returns the number of bytes used; what stays is a piece of a head
 * or of a small frame, if anything. */
static size_t take(const unsigned char *bytes, size_t size) {
    size_t at = 0;
    for (;;) {
        if (shim.frame.left) {
            size_t part = size - at < shim.frame.left ? size - at : shim.frame.left;
            if (part) add_pending(shim.frame.fd, bytes + at, part);
            at += part;
            shim.frame.left -= (uint32_t)part;
        }
        struct cs_wire_head head;
        if (shim.frame.left || size - at < sizeof head) return at;
        memcpy(&head, bytes + at, sizeof head);
        if (head.magic != CS_WIRE_MAGIC) protocol("protocol");
        if (head.version == CS_WIRE_VERSION && (head.type == CS_WIRE_STDOUT || head.type == CS_WIRE_STDERR)) {
            if (head.size > CS_WIRE_MAX_REPLY) protocol("protocol");
            shim.frame.fd = head.type == CS_WIRE_STDOUT ? 1 : 2;
            shim.frame.left = head.size;
            at += sizeof head;
        } else if (control_frame(&head, bytes + at + sizeof head, size - at - sizeof head)) {
            at += sizeof head + head.size;
        } else {
            return at;
        }
    }
}

/* The part of the reply that is in the file. Sealed, and as long as is said: reading it cannot fail. */
static void take_file(const unsigned char *payload) {
    uint64_t size;
    struct statx stat;
    memcpy(&size, payload, sizeof size);
    const long seals = shim.file_fd < 0 ? 0 : sys_get_seals(shim.file_fd);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || !(seals & F_SEAL_WRITE)) protocol("file");
    if (sys_statx(shim.file_fd, "", AT_EMPTY_PATH, STATX_SIZE, &stat) < 0 || stat.stx_size < size || !size) protocol("file");
    const long mapped = sys_map(shim.file_fd, size);
    if (mapped < 0 && mapped > -4096) protocol("file");
    sys_close(shim.file_fd);
    shim.file_fd = -1;
    if (take((const unsigned char *)mapped, size) != size || shim.frame.left) protocol("protocol");
}

/* As many bytes as come. A descriptor that comes with them is a file's. */
static long receive(void *to, size_t size) {
    struct { size_t size; int level, type; int fd; } __attribute__((aligned(8))) control = {0, 0, 0, -1};
    struct sys_iovec iov = {to, size};
    struct sys_msghdr message = {NULL, 0, &iov, 1, &control, sizeof control, 0};
    const long got = sys_recvmsg(shim.fd, &message, SYS_MSG_CMSG_CLOEXEC);
    if (got >= 0 && message.control_size && control.level == SOL_SOCKET && control.type == SYS_SCM_RIGHTS) {
        if (shim.file_fd >= 0) sys_close(shim.file_fd);
        shim.file_fd = control.fd;
    }
    return got;
}

/* Copies the answer out as it comes and leaves. */
static _Noreturn void answer(void) {
    size_t end = 0;
    const uint64_t spin_until_us = sys_now_us() + kSpinUs;
    for (;;) {
        const long got = receive(shim.buffer + end, sizeof shim.buffer - end);
        if (got == -EINTR) continue;
        if (got == -EAGAIN) {
            if (!shim.shown && sys_now_us() < spin_until_us) sys_call(__NR_sched_yield, 0, 0, 0, 0, 0, 0);
            else wait_for(POLLIN);
            continue;
        }
        if (got <= 0) protocol("lost");
        end += (size_t)got;
        const size_t used = take(shim.buffer, end);
        show_pending();
        memmove(shim.buffer, shim.buffer + used, end - used);
        end -= used;
    }
}

static void look_around(char **envp) {
    const char *value, *disable = NULL, *timeout = NULL, *hop = NULL;
    /* The first entry of a name counts, as with getenv; so each is taken only while its place is empty. */
#define TAKE(name, to)                                            \
    if (!(to) && (value = text_value(variable, name)) && *value) { \
        (to) = value;                                             \
        continue;                                                 \
    }
    for (char **at = envp; *at; at++) {
        const char *variable = *at;
        for (int i = 0; i < kSentNames; i++)
            if (!shim.sent[i] && text_value(variable, sent_names[i])) shim.sent[i] = variable;
        if (!shim.real.path && (value = text_value(variable, "PATH"))) shim.real.path = value;
        if (variable[0] != 'C' || variable[1] != 'U') continue;
        TAKE("CURSERVE_SOCKET", shim.socket)
        TAKE("CURSERVE_DISABLE", disable)
        TAKE("CURSERVE_TIMEOUT_MS", timeout)
        TAKE("CURSERVE_TRACE", shim.trace)
        TAKE("CURSERVE_REAL_RG", shim.real.set)
        TAKE("CURSERVE_ASKED", shim.real.asked)
        TAKE("CURSERVE_HOP", hop)
    }
#undef TAKE
    shim.timeout_ms = timeout ? text_parse(&timeout) : -1;
    if (shim.timeout_ms < 0 || (timeout && *timeout)) shim.timeout_ms = kTimeoutMs;
    if (shim.timeout_ms) shim.deadline_us = shim.start_us + (uint64_t)shim.timeout_ms * 1000u;
    real_heed(&shim.real, hop);
    if (disable && !text_same(disable, "0")) decline("disabled");
    if (shim.real.looped) decline("recursion");
}

__attribute__((used)) _Noreturn void cs_start(long *stack) {
    shim.argc = stack[0];
    shim.real.argv = (char **)(stack + 1);
    shim.real.envp = shim.real.argv + shim.argc + 1;
    shim.pipe_code = shim.file_fd = -1;
    shim.start_us = sys_now_us();
    char **end = shim.real.envp;
    while (*end) end++;
    int secure = 1;
    for (const unsigned long *aux = (unsigned long *)(end + 1); aux[0] != AT_NULL; aux += 2) {
        if (aux[0] == AT_EUID) shim.uid = (uint32_t)aux[1];
        if (aux[0] == AT_SECURE) secure = aux[1] != 0;
    }
    /* With raised privileges the caller's environment is not to be believed, nor is anyone's daemon to be asked. */
    if (secure) {
        for (char **at = shim.real.envp; *at; at++)
            if (!shim.real.path) shim.real.path = text_value(*at, "PATH");
        decline("privileged");
    }
    look_around(shim.real.envp);
    if (shim.argc < 1) decline("argv_layout");
    ask();
    answer();
}
