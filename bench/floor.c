/* floor.c: a program that does nothing: what spawning anything costs at the least, beside which the shim is measured.
 *
 * In: nothing. Out: exit code 0. No libc, same flags as the shim.
 *
 * Build:
 * cc -std=c17 -Os -Wall -Wextra -Wconversion -Werror -ffreestanding -fno-builtin -fno-stack-protector -fno-pie \
 *    -fcf-protection=none -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-ident -nostdlib -static -no-pie \
 *    -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-z,noexecstack -s -o floor bench/floor.c
 */
#include <asm/unistd.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

#if defined(__x86_64__)
__asm__(".text\n.globl _start\n_start:\nxor %edi,%edi\nmov $" TEXT(__NR_exit_group) ",%eax\nsyscall\n");
#elif defined(__aarch64__)
__asm__(".text\n.globl _start\n_start:\nmov x0,#0\nmov x8,#" TEXT(__NR_exit_group) "\nsvc #0\n");
#else
#error "x86-64 and aarch64 only, as the shim"
#endif
