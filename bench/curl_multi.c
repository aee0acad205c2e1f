/*
 * The peer `weir fetch` is measured against: what a capable C programmer gets from libcurl in about
 * a hundred lines, with nothing above it. One multi handle, one epoll, easy handles and connections
 * reused, bodies counted and dropped.
 * Invariant: a socket stays in the epoll set from its first use until libcurl closes it. libcurl
 * asks for it to be removed after each transfer and added before the next; not doing so saves two
 * system calls a request and nearly a third of the time.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FDS = 65536 };
static CURLM *multi;
static const char *base;
static long total, started, done, ok, bytes, distinct = 1000;
static int epoll;
static double deadline = -1; /* when libcurl wants to be called without an event */
static struct {
    int wanted, set;
} fds[MAX_FDS]; /* epoll events asked for, and as registered */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    (void)data, (void)user;
    bytes += (long)(size * count);
    return size * count;
}

static int on_timer(CURLM *m, long ms, void *user)
{
    (void)m, (void)user;
    deadline = ms < 0 ? -1 : ms == 0 ? 0 : now() + (double)ms / 1e3;
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket)
{
    (void)easy, (void)user, (void)socket;
    fds[fd].wanted = what == CURL_POLL_REMOVE ? 0
                                              : (what & CURL_POLL_IN ? EPOLLIN : 0) |
                                                    (what & CURL_POLL_OUT ? EPOLLOUT : 0);
    if (fds[fd].wanted && fds[fd].wanted != fds[fd].set) {
        struct epoll_event event = {.events = (unsigned)fds[fd].wanted, .data.fd = fd};
        epoll_ctl(epoll, fds[fd].set ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
        fds[fd].set = fds[fd].wanted;
    }
    return 0;
}

static int on_close(void *user, curl_socket_t fd)
{
    (void)user;
    fds[fd].wanted = fds[fd].set = 0;
    return close(fd);
}

static void start(CURL *easy)
{
    char url[512];
    snprintf(url, sizeof url, "%s/products/%ld", base, started++ % distinct + 1);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_multi_add_handle(multi, easy);
}

static void harvest(void)
{
    CURLMsg *message;
    for (int left; (message = curl_multi_info_read(multi, &left)) != NULL;) {
        CURL *easy = message->easy_handle;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        ok += message->data.result == CURLE_OK && status == 200;
        done++;
        curl_multi_remove_handle(multi, easy);
        if (started < total)
            start(easy);
        else
            curl_easy_cleanup(easy);
    }
}

static void on_event(struct epoll_event event)
{
    int fd = event.data.fd, running;
    if (!fds[fd].wanted) { /* the server closed a connection that waits for reuse */
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
        fds[fd].set = 0;
        return;
    }
    int what = (event.events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
               (event.events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (event.events & EPOLLERR ? CURL_CSELECT_ERR : 0);
    curl_multi_socket_action(multi, fd, what, &running);
    harvest();
}

static void run(void)
{
    static struct epoll_event events[256];
    while (done < total) {
        double left = deadline < 0 ? 1 : deadline == 0 ? 0 : deadline - now();
        int count = epoll_wait(epoll, events, 256, left <= 0 ? 0 : (int)(left * 1e3) + 1);
        for (int i = 0; i < count; i++)
            on_event(events[i]);
        int running;
        if (deadline == 0 || (deadline > 0 && deadline <= now())) {
            deadline = -1;
            curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
            harvest();
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 4 || (total = atol(argv[2])) < 1 || atol(argv[3]) < 1) {
        fprintf(stderr, "usage: curl_multi BASE_URL REQUESTS IN_FLIGHT [DISTINCT_URLS]\n");
        return 2;
    }
    base = argv[1];
    distinct = argc > 4 ? atol(argv[4]) : distinct;
    curl_global_init(CURL_GLOBAL_ALL);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    double begin = now();
    for (long i = 0; i < atol(argv[3]) && i < total; i++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        start(easy);
    }
    run();
    double end = now();
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"requests\": %ld, \"seconds\": %.6f, \"peak_rss_kb\": %ld, \"ok\": %ld, "
           "\"bytes\": %ld}\n",
           total, end - begin, used.ru_maxrss, ok, bytes);
    curl_multi_cleanup(multi);
    return 0;
}
