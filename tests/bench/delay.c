/* delay NEAR FAR MICROSECONDS: a line between two TUN devices that takes this long each way.
 *
 * Real TCP runs over it, with its handshake and slow start, on kernels without sch_netem. Both
 * devices are made here; whoever starts this moves FAR into a network namespace and gives
 * addresses. Prints a line when both are there. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/parse.h"

#define PACKET_MAX 65536
#define DELAY_MAX_US 10000000u
#define BATCH 64              /* packets read before those that are due are written */
#define QUEUE_MAX (64u << 20) /* bytes on their way; more is dropped, as a router does it */
#define NS_PER_S UINT64_C(1000000000)

struct packet {
    struct packet *next;
    uint64_t due_ns;
    size_t len;
    char data[];
};

/* One direction: what is read at `from` is written at `to` when it is due. The delay is the same
 * for all, so the first that came is the first to go. */
struct direction {
    int from, to, timer;
    uint64_t delay_ns;
    uv_poll_t readable, due;
    struct packet *first, *last;
    size_t bytes;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void set_timer(const struct direction *d)
{
    struct itimerspec at = {0};

    if (d->first)
        at.it_value = (struct timespec){.tv_sec = (time_t)(d->first->due_ns / NS_PER_S),
                                        .tv_nsec = (long)(d->first->due_ns % NS_PER_S)};
    timerfd_settime(d->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void deliver(struct direction *d)
{
    uint64_t now = now_ns();

    while (d->first && d->first->due_ns <= now) {
        struct packet *packet = d->first;

        if (write(d->to, packet->data, packet->len) < 0 && errno != EINVAL && errno != EIO &&
            errno != ENOBUFS && errno != EAGAIN)
            perror("delay: write"); /* the others: a device that is down or full drops packets */
        d->first = packet->next;
        d->bytes -= packet->len;
        free(packet);
    }
    set_timer(d);
}

static void enqueue(struct direction *d, const char *data, size_t len)
{
    struct packet *packet;

    if (d->bytes + len > QUEUE_MAX || !(packet = malloc(sizeof *packet + len)))
        return;
    *packet = (struct packet){.due_ns = now_ns() + d->delay_ns, .len = len};
    memcpy(packet->data, data, len);
    if (d->first)
        d->last->next = packet;
    else
        d->first = packet;
    d->last = packet;
    d->bytes += len;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct direction *d = poll->data;
    char data[PACKET_MAX];

    (void)status;
    (void)events;
    for (int i = 0; i < BATCH; i++) {
        ssize_t n = read(d->from, data, sizeof data);

        if (n <= 0)
            break;
        enqueue(d, data, (size_t)n);
    }
    deliver(d);
}

static void on_due(uv_poll_t *poll, int status, int events)
{
    struct direction *d = poll->data;
    uint64_t expirations;

    (void)status;
    (void)events;
    if (read(d->timer, &expirations, sizeof expirations) > 0)
        deliver(d);
}

static int open_tun(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || strlen(name) >= sizeof request.ifr_name)
        return -1;
    strcpy(request.ifr_name, name);
    return ioctl(fd, TUNSETIFF, &request) < 0 ? -1 : fd;
}

static int start(struct direction *d, uv_loop_t *loop, int from, int to, uint64_t delay_us)
{
    *d = (struct direction){.from = from, .to = to, .delay_ns = delay_us * 1000};
    d->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (d->timer < 0)
        return -errno;
    d->readable.data = d->due.data = d;
    uv_poll_init(loop, &d->readable, d->from);
    uv_poll_init(loop, &d->due, d->timer);
    uv_poll_start(&d->readable, UV_READABLE, on_readable);
    return uv_poll_start(&d->due, UV_READABLE, on_due);
}

int main(int argc, char **argv)
{
    static struct direction there, back;
    uint64_t delay_us;
    int near, far;

    if (argc != 4 || parse_u64(argv[3], DELAY_MAX_US, &delay_us) < 0) {
        fputs("usage: delay NEAR FAR MICROSECONDS\n", stderr);
        return 2;
    }
    near = open_tun(argv[1]);
    far = open_tun(argv[2]);
    if (near < 0 || far < 0 || start(&there, uv_default_loop(), near, far, delay_us) < 0 ||
        start(&back, uv_default_loop(), far, near, delay_us) < 0) {
        perror("delay: cannot make the line");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
