/* Every spelling of a repository's address means the same place, and nothing else is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "api/ip.h"
#include "api/names.h"
#include "api/url.h"

struct url_case {
    const char *text;
    enum url_scheme scheme;
    const char *user, *host;
    uint16_t port;
    const char *path;
};

static const struct url_case good[] = {
    {"ssh://git@git.example.com:2222/team/app.git", URL_SSH, "git", "git.example.com", 2222,
     "team/app"},
    {"ssh://git.example.com/team/app", URL_SSH, "", "git.example.com", 22, "team/app"},
    {"ssh://git@git.example.com/~me/app.git/", URL_SSH, "git", "git.example.com", 22, "~me/app"},
    {"git@git.example.com:team/app.git", URL_SSH, "git", "git.example.com", 22, "team/app"},
    {"git@git.example.com:/srv/app.git", URL_SSH, "git", "git.example.com", 22, "srv/app"},
    {"git.example.com:app", URL_SSH, "", "git.example.com", 22, "app"},
    {"git@git.example.com:2222/app", URL_SSH, "git", "git.example.com", 22, "2222/app"},
    {"ssh://git@[2001:DB8::1]:2222/app.git", URL_SSH, "git", "2001:db8::1", 2222, "app"},
    {"ssh://git@[::1]/app.git", URL_SSH, "git", "::1", 22, "app"},
    {"git@[::1]:app.git", URL_SSH, "git", "::1", 22, "app"},
    {"https://Git.Example.COM/team/app.git", URL_HTTPS, "", "git.example.com", 443, "team/app"},
    {"https://git.example.com:8443/a/b/c-d_e.f/g@h+i=j,k", URL_HTTPS, "", "git.example.com", 8443,
     "a/b/c-d_e.f/g@h+i=j,k"},
    {"ssh://git@10.0.0.7//team/app.git", URL_SSH, "git", "10.0.0.7", 22, "team/app"},
    {"https://git.example.com/app.git.git", URL_HTTPS, "", "git.example.com", 443, "app.git"},
};

static void every_spelling_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct error err = ERROR_INIT;
        struct url url;

        if (url_parse(good[i].text, &url, &err) < 0)
            fail_msg("%s: %s", good[i].text, err.msg);
        assert_int_equal(url.scheme, good[i].scheme);
        assert_string_equal(url.user, good[i].user);
        assert_string_equal(url.host, good[i].host);
        assert_int_equal(url.port, good[i].port);
        assert_string_equal(url.path, good[i].path);
    }
}

static const char *const bad[] = {
    "",
    "app",
    "/srv/app.git",
    "./app.git",
    "../app",
    "-oProxyCommand=x:y",
    "file:///srv/app.git",
    "http://git.example.com/app",
    "git://git.example.com/app",
    "ext::sh -c x",
    "git+ssh://git@git.example.com/app",
    "ssh://",
    "ssh:///app",
    "ssh://git.example.com",
    "ssh://git.example.com/",
    "ssh:/git@git.example.com/app",
    "https:/git.example.com/app",
    "http:/git.example.com/app",
    "ssh://git@git.example.com:team/app",
    "ssh://git@/app",
    "ssh://@git.example.com/app",
    "ssh://-oProxyCommand=x/app",
    "ssh://-l@git.example.com/app",
    "-l@git.example.com:app",
    "ssh://git@-git.example.com/app",
    "ssh://git@git.example.com:0/app",
    "ssh://git@git.example.com:65536/app",
    "ssh://git@git.example.com:/app",
    "ssh://git@git.example.com:22x/app",
    "ssh://git@git_example.com/app",
    "ssh://git@git..example.com/app",
    "ssh://git@git.example.com./app",
    "ssh://git@[::1/app",
    "ssh://git@[::g]/app",
    "ssh://git@[::1]x/app",
    "git@git.example.com:",
    "git@git.example.com:/",
    "git@git.example.com:-app",
    "git@git.example.com:team/-app",
    "git@git.example.com:../app",
    "git@git.example.com:team/../app",
    "git@git.example.com:team/./app",
    "git@git.example.com:team/...git",
    "git@git.example.com:team/..git",
    "git@git.example.com:team/.git",
    "git@git.example.com:.git",
    "git@git.example.com:team/.git/app",
    "git@git.example.com:team//app",
    "git@git.example.com:team app",
    "git@git.example.com:team'app",
    "git@git.example.com:team\"app",
    "git@git.example.com:$(id)",
    "git@git.example.com:`id`",
    "git@git.example.com:a;b",
    "git@git.example.com:a\nb",
    "git@git.example.com:a%2fb",
    "git@git.example.com:a*b",
    "https://git.example.com/app?x=y",
    "https://git.example.com/app#x",
    "https://git.example.com/\xc3\xa9",
    "https://token@git.example.com/app",
    "[git@git.example.com:22]:app",
};

static void anything_else_is_refused_and_nothing_is_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = ERROR_INIT;
        struct url url = {.port = 4711};

        if (url_parse(bad[i], &url, &err) == 0)
            fail_msg("taken as a URL: %s", bad[i]);
        assert_string_not_equal(err.msg, "");
        assert_int_equal(url.port, 4711);
    }
}

static void a_password_in_a_url_is_refused_and_never_repeated(void **state)
{
    static const char *const urls[] = {
        "ssh://git:hunter2@git.example.com/app",
        "https://git:hunter2@git.example.com/app",
        "https://hunter2@git.example.com/app",
        "git:hunter2@git.example.com:app",
    };

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct error err = ERROR_INIT;
        struct url url;

        assert_true(url_parse(urls[i], &url, &err) < 0);
        assert_non_null(strstr(err.msg, "Secret"));
        assert_null(strstr(err.msg, "hunter2"));
    }
}

static void parts_that_are_too_long_are_refused(void **state)
{
    char text[URL_MAX + 100];
    struct url url;

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "h:", 2);
    assert_true(url_parse(text, &url, NULL) < 0);
    text[URL_PATH_MAX + 3] = '\0';
    assert_true(url_parse(text, &url, NULL) < 0);
    text[URL_PATH_MAX + 2] = '\0';
    assert_int_equal(url_parse(text, &url, NULL), 0);
    memset(text, 'a', sizeof text - 1);
    memcpy(text + URL_USER_MAX + 1, "@h:p", 5);
    assert_true(url_parse(text, &url, NULL) < 0);
    memset(text, 'a', sizeof text - 1);
    memcpy(text + 300, ":p", 3);
    assert_true(url_parse(text, &url, NULL) < 0);
}

static void names_are_safe_as_file_names_and_configuration_values(void **state)
{
    static const char *const fine[] = {"a", "app", "app-2", "a.b_c", "0"};
    static const char *const wrong[] = {"",     "-a",  "a-",  "A",   "a.git", "a.lock", "a..b",
                                        "../a", "a/b", "a b", "a'b", "a\nb",  ".hidden"};
    char longest[65];

    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        assert_true(upstream_name_valid(fine[i]));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(upstream_name_valid(wrong[i]));
    memset(longest, 'a', 64);
    longest[64] = '\0';
    assert_false(upstream_name_valid(longest));
    longest[63] = '\0';
    assert_true(upstream_name_valid(longest));
}

static void derived_names_are_labels(void **state)
{
    char gate[GITGATE_NAME_MAX + 2];

    (void)state;
    memset(gate, 'a', sizeof gate - 1);
    gate[sizeof gate - 1] = '\0';
    assert_false(gitgate_name_valid(gate));
    gate[GITGATE_NAME_MAX] = '\0';
    assert_true(gitgate_name_valid(gate));
    for (int which = NAME_HOOKS; which <= NAME_EGRESS; which++)
        assert_true(strlen(gitgate_owned_name(gate, (enum owned_name)which).text) <= 63);
    assert_string_equal(gitgate_owned_name("agents", NAME_CREDS).text, "agents-gitgate-creds");
    assert_false(gitgate_name_valid("a.b"));
    assert_false(gitgate_name_valid("-a"));
}

static void addresses_have_one_text_and_ranges_hold_them(void **state)
{
    struct cidr range;
    struct ip a, b;
    char text[IP_TEXT_MAX];

    (void)state;
    assert_int_equal(ip_parse("2001:db8:0:0::1", &a), 0);
    ip_print(&a, text);
    assert_string_equal(text, "2001:db8::1");
    assert_int_equal(ip_parse("::ffff:10.0.0.1", &a), 0);
    assert_int_equal(ip_parse("10.0.0.1", &b), 0);
    assert_true(ip_equal(&a, &b));
    assert_int_equal(cidr_parse("10.0.0.0/8", &range), 0);
    assert_true(cidr_contains(&range, &a));
    assert_int_equal(cidr_parse("0.0.0.0/0", &range), 0);
    assert_int_equal(cidr_parse("::/0", &range), 0);
    assert_false(cidr_contains(&range, &a));
    for (const char *const *p =
             (const char *const[]){"10.0.0.1/8", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1",
                                   "::ffff:10.0.0.0/104", "2001:db8::1/64", "x/8", "/8", NULL};
         *p; p++)
        assert_true(cidr_parse(*p, &range) < 0);
    for (const char *const *p =
             (const char *const[]){"169.254.169.254", "::ffff:169.254.169.254", "fe80::1",
                                   "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
                                   "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe",
                                   "fd00:42::42", "fd00:100::100:200", "64:ff9b::169.254.169.254",
                                   "64:ff9b::a9fe:1", "64:ff9b::100.100.100.200",
                                   "64:ff9b::168.63.129.16", "64:ff9b::127.0.0.1", NULL};
         *p; p++) {
        assert_int_equal(ip_parse(*p, &a), 0);
        assert_true(ip_is_never(&a));
    }
    for (const char *const *p = ip_never; *p; p++) { /* each is said as it is printed */
        char address[IP_TEXT_MAX];

        assert_int_equal(cidr_parse(*p, &range), 0);
        ip_print(&range.ip, address);
        assert_memory_equal(*p, address, strlen(address));
        assert_int_equal((*p)[strlen(address)], '/');
    }
    for (const char *const *p = (const char *const[]){"64:ff9b::203.0.113.9", "64:ff9b::128.0.0.1",
                                                      "64:ff9b::169.253.0.1", NULL};
         *p; p++) {
        assert_int_equal(ip_parse(*p, &a), 0);
        assert_false(ip_is_never(&a));
    }
    assert_false(ip_is_never(&b));
    assert_int_equal(cidr_parse("100.100.100.200/29", &range), 0);
    assert_false(cidr_is_never(&range));
    assert_int_equal(cidr_parse("169.254.169.0/24", &range), 0);
    assert_true(cidr_is_never(&range));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_is_read),
        cmocka_unit_test(anything_else_is_refused_and_nothing_is_written),
        cmocka_unit_test(a_password_in_a_url_is_refused_and_never_repeated),
        cmocka_unit_test(parts_that_are_too_long_are_refused),
        cmocka_unit_test(names_are_safe_as_file_names_and_configuration_values),
        cmocka_unit_test(derived_names_are_labels),
        cmocka_unit_test(addresses_have_one_text_and_ranges_hold_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
