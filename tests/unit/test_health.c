/* The listener for probes, by real connections on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/health.h"

#define REQUEST "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
#define HOLDERS 40 /* more than the listener keeps */

struct world {
    uv_loop_t loop;
    struct health *health;
};

static void world_init(struct world *world, const char *address)
{
    const struct health_source source = {0};
    struct error err = ERROR_INIT;

    uv_loop_init(&world->loop);
    if (health_start(&world->loop, address, &source, &world->health, &err) < 0)
        fail_msg("%s", err.msg);
}

static void world_done(struct world *world)
{
    health_stop(world->health);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
}

/* Connected, and taken by the listener. */
static int reach(struct world *world, const char *address)
{
    int port = health_port(world->health), fd;
    struct sockaddr_in6 six = {0};
    struct sockaddr_in four = {0};
    bool is_six = uv_ip6_addr(address, port, &six) == 0;

    if (!is_six)
        assert_int_equal(uv_ip4_addr(address, port, &four), 0);
    fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(is_six ? connect(fd, (struct sockaddr *)&six, sizeof six)
                            : connect(fd, (struct sockaddr *)&four, sizeof four),
                     0);
    uv_run(&world->loop, UV_RUN_NOWAIT);
    return fd;
}

/* What comes until the listener closes; "" when it does so at once. */
static void read_answer(struct world *world, int fd, char *to, size_t size)
{
    size_t len = 0;
    ssize_t n;

    while ((n = recv(fd, to + len, size - 1 - len, MSG_DONTWAIT)) != 0) {
        if (n > 0)
            len += (size_t)n;
        else if (errno != EAGAIN)
            break;
        uv_run(&world->loop, UV_RUN_NOWAIT);
    }
    to[len] = '\0';
}

static void assert_alive(struct world *world, const char *address)
{
    int fd = reach(world, address);
    char answer[512];

    assert_int_equal(send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL), strlen(REQUEST));
    read_answer(world, fd, answer, sizeof answer);
    assert_non_null(strstr(answer, "200 OK"));
    close(fd);
}

static void who_only_holds_connections_keeps_no_prober_out(void **state)
{
    struct world world;
    int held[HOLDERS];

    (void)state;
    world_init(&world, "127.0.0.1:0");
    for (int i = 0; i < HOLDERS; i++) {
        held[i] = reach(&world, "127.0.0.1");
        send(held[i], "GET /", i % 2 ? 5 : 0, MSG_NOSIGNAL);
    }
    assert_alive(&world, "127.0.0.1");
    assert_alive(&world, "127.0.0.1");
    for (int i = 0; i < HOLDERS; i++)
        close(held[i]);
    world_done(&world);
}

/* Once the kernel has both. */
static void without_a_host_it_listens_at_ipv6_and_ipv4(void **state)
{
    struct world world;

    (void)state;
    if (access("/proc/net/if_inet6", F_OK) < 0)
        skip();
    world_init(&world, ":0");
    assert_alive(&world, "127.0.0.1");
    assert_alive(&world, "::1");
    world_done(&world);
    world_init(&world, "[::1]:0");
    assert_alive(&world, "::1");
    world_done(&world);
}

static void a_request_without_end_is_none(void **state)
{
    static char flood[8192];
    struct world world;
    char answer[512];
    int fd;

    (void)state;
    memset(flood, 'a', sizeof flood);
    world_init(&world, "127.0.0.1:0");
    fd = reach(&world, "127.0.0.1");
    send(fd, flood, sizeof flood, MSG_NOSIGNAL);
    read_answer(&world, fd, answer, sizeof answer);
    assert_string_equal(answer, "");
    close(fd);
    assert_alive(&world, "127.0.0.1");
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_only_holds_connections_keeps_no_prober_out),
        cmocka_unit_test(without_a_host_it_listens_at_ipv6_and_ipv4),
        cmocka_unit_test(a_request_without_end_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
