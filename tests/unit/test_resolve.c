/* The controller's look-ups, with a C library that answers what the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "resolve.h"

/* ---- The C library ------------------------------------------------------------------------- */

static unsigned answer_n; /* addresses of the next answer: 10.0.0.0 and on, the last one first */

struct answer {
    struct addrinfo info;
    struct sockaddr_in address;
};

static struct addrinfo *answer_new(unsigned i, struct addrinfo *next)
{
    struct answer *answer = calloc(1, sizeof *answer);

    assert_non_null(answer);
    answer->address.sin_family = AF_INET;
    answer->address.sin_addr.s_addr = htonl(0x0a000000 + i);
    answer->info = (struct addrinfo){.ai_family = AF_INET,
                                     .ai_addr = (struct sockaddr *)&answer->address,
                                     .ai_addrlen = sizeof answer->address,
                                     .ai_next = next};
    return &answer->info;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    (void)host, (void)service, (void)hints;
    *ret = NULL;
    for (unsigned i = 0; i < answer_n; i++)
        *ret = answer_new(i, *ret);
    return *ret ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *info)
{
    while (info) {
        struct addrinfo *next = info->ai_next;

        free(info);
        info = next;
    }
}

/* ---- The resolver -------------------------------------------------------------------------- */

static unsigned told; /* how often, since it was set */

static void on_changed(void *loop, const char *ns, const char *host, bool awaited)
{
    assert_string_equal(host, "git.example.com");
    assert_memory_equal(ns, "ns", 2);
    assert_true(awaited);
    told++;
    uv_stop(loop);
}

static size_t count(const char *const *ips)
{
    size_t n = 0;

    while (ips[n])
        n++;
    return n;
}

/* A host of which the C library tells `n`. */
static void assert_has(unsigned n, size_t wanted)
{
    struct resolution resolution;
    struct resolver *resolver;
    uv_loop_t loop;

    answer_n = n;
    assert_int_equal(uv_loop_init(&loop), 0);
    resolver = resolver_new(&loop, on_changed, &loop);
    assert_non_null(resolver);
    assert_int_equal(resolver_hold(resolver, "ns", "git.example.com"), 0);
    assert_int_equal(resolver_hold(resolver, "ns-2", "git.example.com"), 0);
    told = 0;
    assert_int_equal(count(resolver_get(resolver, "git.example.com").ips), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    resolution = resolver_get(resolver, "git.example.com");
    assert_false(resolution.pending);
    assert_int_equal(told, 2);
    assert_int_equal(count(resolution.ips), wanted);
    for (size_t i = 0; i + 1 < wanted; i++)
        assert_true(strcmp(resolution.ips[i], resolution.ips[i + 1]) < 0);
    assert_int_equal(*resolution.error != '\0', n == 0);
    resolver_drop(resolver, "ns", "git.example.com");
    resolver_drop(resolver, "ns-2", "git.example.com");
    resolver_free(resolver);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void a_host_has_the_addresses_of_its_answer_and_no_more_than_a_policy_may_hold(void **state)
{
    (void)state;
    assert_has(0, 0);
    assert_has(1, 1);
    assert_has(2, 2);
    assert_has(5, 5);
    assert_has(63, 63);
    assert_has(65, 64);
    assert_has(500, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_has_the_addresses_of_its_answer_and_no_more_than_a_policy_may_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
