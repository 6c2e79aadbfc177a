/* The network split says what the GitGate says, whatever is in the files that it is made from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ruleset.h"

#define GROUP 1234567890 /* the gate's in this pod */

static void name_servers_are_read(void **state)
{
    static const char text[] = "search example.com\nnameserver 10.96.0.10\n#nameserver 1.1.1.1\n"
                               "nameserver\t169.254.20.10\nnameserver fe80::1%eth0\n"
                               "nameserver; 1.2.3.4\nnameserver 8.8.8.8 accept\nnameserver x\n";
    struct ip list[NAMESERVERS_MAX];
    char first[IP_TEXT_MAX], second[IP_TEXT_MAX], last[IP_TEXT_MAX];
    size_t n = nameservers_parse(text, list);

    (void)state;
    assert_int_equal(n, 4);
    ip_print(&list[0], first);
    ip_print(&list[1], second);
    ip_print(&list[3], last);
    assert_string_equal(first, "10.96.0.10");
    assert_string_equal(second, "169.254.20.10");
    assert_string_equal(last, "8.8.8.8");
}

static void only_so_many_name_servers_are_read(void **state)
{
    char text[4096] = "";
    struct ip list[NAMESERVERS_MAX];

    (void)state;
    for (int i = 0; i < 50; i++)
        strcat(text, "nameserver 10.0.0.1\n");
    assert_int_equal(nameservers_parse(text, list), NAMESERVERS_MAX);
}

static size_t position(const struct buf *rules, const char *of)
{
    const char *at = strstr(rules->data, of);

    if (!at)
        fail_msg("not there: %s\n%s", of, rules->data);
    return (size_t)(at - rules->data);
}

static void without_egress_only_the_gate_gets_out(void **state)
{
    cleanup_buf struct buf rules = BUF_INIT(65536);
    struct gitgate gate = {0};

    (void)state;
    ruleset_add(&rules, &gate, GROUP, NULL, 0);
    assert_int_equal(buf_error(&rules), 0);
    position(&rules, "policy drop;");
    position(&rules, "hook forward priority filter; policy drop;\n\t}"); /* and nothing else */
    assert_true(position(&rules, "ip daddr 169.254.0.0/16 reject") <
                position(&rules, "meta skuid 9418 meta skgid 1234567890 accept"));
    position(&rules, "ip6 daddr fd00:ec2::254/128 reject");
    assert_null(strstr(rules.data, "dport"));
    assert_null(strstr(rules.data, "skuid 9418 accept")); /* the user alone is not enough */
    assert_true(position(&rules, "meta skuid 9418 meta skgid 1234567890 accept") <
                position(&rules, "\t\treject with icmpx"));
}

static void egress_is_what_the_gate_says(void **state)
{
    cleanup_buf struct buf rules = BUF_INIT(65536);
    json_auto_t *to = json_loads(
        "[{\"cidr\": \"10.0.0.0/8\", \"ports\": [{\"port\": 443}, {\"port\": 8000, \"endPort\": "
        "8100, \"protocol\": \"UDP\"}]}, {\"cidr\": \"fd00::/8\"}]",
        0, NULL);
    struct gitgate gate = {.agent_egress = to};

    (void)state;
    ruleset_add(&rules, &gate, GROUP, NULL, 0);
    position(&rules, "\t\tip daddr 10.0.0.0/8 tcp dport 443 accept\n");
    position(&rules, "\t\tip daddr 10.0.0.0/8 udp dport 8000-8100 accept\n");
    assert_true(position(&rules, "\t\tip6 daddr fd00::/8 accept\n") >
                position(&rules, "ip6 daddr fd00:ec2::254/128 reject"));
}

static void dns_is_for_the_gate_unless_agents_may(void **state)
{
    static const char agents[] =
        "\t\tmeta l4proto { tcp, udp } ip daddr 169.254.20.10 th dport 53 accept\n";
    static const char ours[] =
        "\t\tmeta skuid 9418 meta skgid 1234567890 meta l4proto { tcp, udp } ip daddr "
        "169.254.20.10 th dport 53 accept\n";
    cleanup_buf struct buf closed = BUF_INIT(65536), open = BUF_INIT(65536);
    struct ip nameserver;

    (void)state;
    assert_int_equal(ip_parse("169.254.20.10", &nameserver), 0);
    ruleset_add(&closed, &(struct gitgate){0}, GROUP, &nameserver, 1);
    assert_true(position(&closed, ours) < position(&closed, "ip daddr 169.254.0.0/16 reject"));
    assert_null(strstr(closed.data, agents));
    ruleset_add(&open, &(struct gitgate){.agent_dns = true}, GROUP, &nameserver, 1);
    assert_true(position(&open, agents) < position(&open, "ip daddr 169.254.0.0/16 reject"));
}

static void what_is_no_range_is_no_rule(void **state)
{
    cleanup_buf struct buf rules = BUF_INIT(65536);
    json_auto_t *to =
        json_loads("[{\"cidr\": \"0.0.0.0/0 accept; #\"}, {\"cidr\": \"10.0.0.1/8\"}, {}, 7, "
                   "{\"cidr\": \"10.0.0.0/8\\naccept\"}]",
                   0, NULL);
    struct gitgate gate = {.agent_egress = to};

    (void)state;
    ruleset_add(&rules, &gate, GROUP, NULL, 0);
    assert_null(strstr(rules.data, "10.0.0"));
    assert_null(strstr(rules.data, "0.0.0.0"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_servers_are_read),
        cmocka_unit_test(only_so_many_name_servers_are_read),
        cmocka_unit_test(without_egress_only_the_gate_gets_out),
        cmocka_unit_test(egress_is_what_the_gate_says),
        cmocka_unit_test(dns_is_for_the_gate_unless_agents_may),
        cmocka_unit_test(what_is_no_range_is_no_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
