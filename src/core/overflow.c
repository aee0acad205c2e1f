/*
 * overflow.c: see overflow.h. Everything in the handler is safe in signal handlers. After the
 * message, or when nobody handled the signals before, the handler restores their default action
 * and returns: the fault happens again where it was, and that is what a core dump shows.
 */
#include "overflow.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "text.h"

enum { ALTERNATE_STACK = 64 << 10, NAME_MAX_BYTES = 200, NAME_TEXT = 256 };

static struct sigaction before_segv;
static struct sigaction before_bus;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t alternate_key; /* its destructor ends a thread's alternate stack */
static _Thread_local bool prepared;

static char *put(char *at, const char *text)
{
    return stpcpy(at, text);
}

static char *put_number(char *at, size_t n)
{
    char digits[24];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + n % 10);
    } while (n /= 10);
    while (len)
        *at++ = digits[--len];
    return at;
}

void wi_overflow_report(const wi_overflow *overflow)
{
    char text[NAME_TEXT + 256];
    char *at = put(text, "weir: stack overflow in ");
    if (overflow->name) {
        at = put(at, "task \"");
        at += wi_text_printable(at, NAME_TEXT, overflow->name,
                                strnlen(overflow->name, NAME_MAX_BYTES));
        at = put(at, "\"");
    } else {
        at = put(at, "a task without a name");
    }
    at = put(at, ": its fiber's stack of ");
    at = put_number(at, overflow->stack_size);
    at = put(at, " bytes is used up; give its executor a larger stack_size, or large variables"
                 " the heap\n");
    for (const char *from = text; from < at;) {
        ssize_t n = write(STDERR_FILENO, from, (size_t)(at - from));
        if (n < 0 && errno != EINTR)
            return;
        from += n > 0 ? n : 0;
    }
}

void wi_overflow_die(void)
{
    sigset_t fault;
    sigemptyset(&fault);
    sigaddset(&fault, SIGSEGV);
    signal(SIGSEGV, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &fault, NULL);
    raise(SIGSEGV);
    abort();
}

static void hand_on(int number, siginfo_t *info, void *context)
{
    const struct sigaction *before = number == SIGSEGV ? &before_segv : &before_bus;
    bool sent = info->si_code <= 0; /* by kill and its like: it won't happen again by itself */
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(number, info, context);
    } else if (before->sa_handler == SIG_IGN && sent) {
        return;
    } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(number);
    } else {
        signal(number, SIG_DFL);
        if (sent)
            raise(number);
    }
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    wi_overflow overflow;
    if (info->si_code > 0 && wi_overflow_find(info->si_addr, &overflow)) {
        wi_overflow_report(&overflow);
        signal(number, SIG_DFL);
    } else {
        hand_on(number, info, context);
    }
    errno = saved_errno;
}

static void end_alternate(void *stack)
{
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == stack)
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    munmap(stack, ALTERNATE_STACK);
}

static void install(void)
{
    pthread_key_create(&alternate_key, end_alternate);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &before_segv);
    sigaction(SIGBUS, &action, &before_bus);
}

/* Without memory for it an overflow still ends the process, if without a word. */
static void make_alternate(void)
{
    stack_t now;
    if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE))
        return;
    void *stack = mmap(NULL, ALTERNATE_STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return;
    if (pthread_setspecific(alternate_key, stack) != 0 ||
        sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = ALTERNATE_STACK}, NULL) != 0) {
        pthread_setspecific(alternate_key, NULL);
        munmap(stack, ALTERNATE_STACK);
    }
}

void wi_overflow_prepare(void)
{
    if (prepared)
        return;
    prepared = true;
    pthread_once(&once, install);
    make_alternate();
    sigset_t faults; /* while blocked, the kernel ends the process without asking a handler */
    sigemptyset(&faults);
    sigaddset(&faults, SIGSEGV);
    sigaddset(&faults, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
}
