/* spawn.c: how long programs take from spawn to exit, measured side by side.
 *
 * In: spawn [-n ROUNDS] [-w WARM] [-r REPLY] PROGRAM [ARG]... [--- PROGRAM [ARG]...]...
 *     ROUNDS (default 1000) timed rounds after WARM (default 20) untimed ones; in each round every program runs
 *     once, in an order that moves on by one per round, so that a slow moment of the machine hits all alike. A word
 *     `---` parts one program from the next. Children get /dev/null as stdin, stdout and stderr.
 *     With -r, a child process of this one listens at $CURSERVE_SOCKET and answers each request with REPLY on
 *     stdout and exit 0: the shim's cost when it is served, without a daemon's work.
 * Out: one line of JSON per program: argv, rounds, bad (rounds that ended otherwise than with exit 0 or 1), and
 *     microseconds of wall time by CLOCK_MONOTONIC: median_us, p10_us, p90_us, min_us.
 * Not here: statistics beyond quantiles; comparison is the reader's.
 *
 * Build:
 * cc -std=gnu17 -O2 -Wall -Wextra -Wconversion -Werror -o spawn bench/spawn.c
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../shims/wire.h"

enum { kPrograms = 16, kReplyBytes = 65536 };

extern char **environ;

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void *left, const void *right) {
    double l = *(const double *)left, r = *(const double *)right;
    return (l > r) - (l < r);
}

static void die(const char *why) {
    perror(why);
    exit(2);
}

/* Answers one request after the other for ever, from one prepared message. Its parent kills it. */
static pid_t serve(const char *text) {
    const char *place = getenv("CURSERVE_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(text);
    if (!place || strlen(place) >= sizeof address.sun_path || size > kReplyBytes) {
        fprintf(stderr, "spawn: -r needs CURSERVE_SOCKET and a reply of at most %d bytes\n", kReplyBytes);
        exit(2);
    }
    strcpy(address.sun_path, place);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 64) < 0)
        die("spawn: socket");
    pid_t child = fork();
    if (child != 0) {
        close(listener);
        return child;
    }
    static unsigned char message[kReplyBytes + 64];
    static unsigned char request[CS_WIRE_MAX_REQUEST + sizeof(struct cs_wire_head)];
    struct cs_wire_head out = {CS_WIRE_MAGIC, CS_WIRE_VERSION, CS_WIRE_STDOUT, (uint32_t)size};
    struct cs_wire_head end = {CS_WIRE_MAGIC, CS_WIRE_VERSION, CS_WIRE_EXIT, sizeof(struct cs_wire_exit)};
    unsigned char *to = message;
    memcpy(to, &out, sizeof out), to += sizeof out;
    memcpy(to, text, size), to += size;
    memcpy(to, &end, sizeof end), to += sizeof end + sizeof(struct cs_wire_exit);       /* all zero: exit 0 */
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        if (peer < 0) continue;
        size_t have = 0, want = sizeof(struct cs_wire_head);
        while (have < want) {
            ssize_t got = read(peer, request + have, sizeof request - have);
            if (got <= 0) break;
            have += (size_t)got;
            if (have >= sizeof(struct cs_wire_head))
                want = sizeof(struct cs_wire_head) + ((struct cs_wire_head *)request)->size;
        }
        if (have >= want && send(peer, message, (size_t)(to - message), MSG_NOSIGNAL) < 0) perror("spawn: send");
        close(peer);
    }
}

static void print_json(char **argv, double *times_us, int rounds, int bad) {
    printf("{\"argv\":[");
    for (char **word = argv; *word; word++) {
        printf(word == argv ? "\"" : ",\"");
        for (const char *at = *word; *at; at++) {
            if (*at == '"' || *at == '\\') printf("\\%c", *at);
            else if ((unsigned char)*at < 0x20) printf("\\u%04x", (unsigned)*at);
            else putchar(*at);
        }
        putchar('"');
    }
    qsort(times_us, (size_t)rounds, sizeof *times_us, by_size);
    printf("],\"rounds\":%d,\"bad\":%d,\"median_us\":%.1f,\"p10_us\":%.1f,\"p90_us\":%.1f,\"min_us\":%.1f}\n", rounds,
           bad, times_us[rounds / 2], times_us[rounds / 10], times_us[(long)rounds * 9 / 10], times_us[0]);
}

int main(int argc, char **argv) {
    int rounds = 1000, warm = 20, option;
    const char *reply = NULL;
    while ((option = getopt(argc, argv, "+n:w:r:")) != -1) {
        if (option == 'n') rounds = atoi(optarg);
        else if (option == 'w') warm = atoi(optarg);
        else if (option == 'r') reply = optarg;
        else return 2;
    }
    char **programs[kPrograms];
    int count = 0;
    for (int i = optind; i < argc && count < kPrograms; i++) {
        programs[count++] = argv + i;
        while (i < argc && strcmp(argv[i], "---") != 0) i++;
        argv[i] = NULL;                 /* argv[argc] is null already */
    }
    if (count == 0 || rounds < 1 || warm < 0) {
        fprintf(stderr, "usage: spawn [-n ROUNDS] [-w WARM] [-r REPLY] PROGRAM [ARG]... [--- PROGRAM [ARG]...]...\n");
        return 2;
    }
    pid_t server = reply ? serve(reply) : 0;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", fd ? O_WRONLY : O_RDONLY, 0);
    double *times_us = malloc(sizeof *times_us * (size_t)count * (size_t)rounds);
    int bad[kPrograms] = {0};
    if (!times_us) die("spawn");
    for (int round = -warm; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            int which = (i + round + warm) % count, status = 0;
            pid_t child;
            double start = now_us();
            int error = posix_spawn(&child, programs[which][0], &actions, NULL, programs[which], environ);
            if (error) {
                fprintf(stderr, "spawn: %s: %s\n", programs[which][0], strerror(error));
                if (server) kill(server, SIGKILL);
                return 2;
            }
            while (waitpid(child, &status, 0) < 0) {}
            if (round < 0) continue;
            times_us[which * rounds + round] = now_us() - start;
            if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) bad[which]++;
        }
    }
    for (int i = 0; i < count; i++) print_json(programs[i], times_us + i * rounds, rounds, bad[i]);
    if (server) {
        kill(server, SIGKILL);
        unlink(getenv("CURSERVE_SOCKET"));
    }
    free(times_us);
    return 0;
}
