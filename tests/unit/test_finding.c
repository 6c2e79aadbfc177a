/* What `gitgate check` says of each fault, and that it keeps to itself what it has to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "finding.h"
#include "fingerprints.h"

#define TEXT_MAX 8192
/* The fingerprint of the bytes "key": printf key | openssl dgst -sha256 -binary | base64 */
#define KEY "a2V5"
#define PRINT "SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM"

static const struct upstream ssh_upstream = {
    .name = "app",
    .url_text = "ssh://git@git.example.com:2222/team/app.git",
    .url = {.scheme = URL_SSH, .host = "git.example.com", .port = 2222},
    .auth = AUTH_SSH,
    .secret = "deploy",
};
static const struct upstream https_upstream = {
    .name = "web",
    .url_text = "https://git.example.com/team/web.git",
    .url = {.scheme = URL_HTTPS, .host = "git.example.com", .port = 443},
    .auth = AUTH_HTTP,
    .secret = "login",
};

static void expect(const struct finding *finding, const char *text)
{
    cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);

    finding_print(finding, &out);
    if (strcmp(out.data, text) != 0)
        fail_msg("said:\n%sexpected:\n%s", out.data, text);
}

static void what_is_right_is_one_line(void **state)
{
    struct finding finding CLEANUP(finding_done) = {0};
    const struct reach there = {.address = "10.0.0.1"};

    (void)state;
    finding_init(&finding, &https_upstream, 0);
    finding_reach(&finding, &there, true);
    finding_pass(&finding, "repository (%d refs)", 3);
    expect(&finding,
           "ok     web: 10.0.0.1 port 443 (extraHosts), certificate, repository (3 refs)\n");
}

static void each_way_not_to_connect_has_its_line(void **state)
{
    static const struct {
        struct reach reach;
        bool extra;
        const char *text;
    } cases[] = {
        {{.fault = FAULT_NAME},
         false,
         "WRONG  web: the name git.example.com can't be resolved\n"
         "       to do: correct the name in spec.upstreams[4].url, or give its address in "
         "spec.upstreams[4].extraHosts (git.example.com: ADDRESS)\n"},
        {{.fault = FAULT_REFUSED, .address = "10.0.0.1"},
         true,
         "WRONG  web: git.example.com refused the connection: nothing listens at that port; tried: "
         "10.0.0.1 port 443, from extraHosts\n"
         "       to do: compare the port in spec.upstreams[4].url with the server's\n"},
        {{.fault = FAULT_SILENT, .seconds = 10},
         false,
         "WRONG  web: git.example.com does not answer; tried for 10 s: git.example.com port 443\n"
         "       to do: look for a firewall on the way, and compare address and port with the "
         "server's\n"},
        {{.fault = FAULT_EXPIRED, .expires = "Nov 25 2026", .issuer = "x"},
         false,
         "WRONG  web: the certificate of git.example.com has expired; its last day was Nov 25 "
         "2026\n"
         "       to do: have the owner of git.example.com renew it; and compare this machine's "
         "clock\n"},
        {{.fault = FAULT_AUTHORITY},
         false,
         "WRONG  web: the certificate of git.example.com is from nobody whom the gate trusts\n"
         "       to do: when it is the right server, name a ConfigMap with its authority's "
         "certificate in spec.upstreams[4].http.caBundle\n"},
        {{.fault = FAULT_OTHER_HOST, .names = "DNS:other"},
         false,
         "WRONG  web: the certificate of git.example.com is for another host; it is for DNS:other\n"
         "       to do: use a name that the certificate holds in spec.upstreams[4].url (and in "
         "extraHosts, where DNS has it not)\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct finding finding CLEANUP(finding_done) = {0};

        finding_init(&finding, &https_upstream, 4);
        finding_reach(&finding, &cases[i].reach, cases[i].extra);
        assert_int_equal(finding.fault, cases[i].reach.fault);
        expect(&finding, cases[i].text);
    }
}

static void a_key_is_named_by_its_fingerprint_and_by_nothing_else(void **state)
{
    struct finding good CLEANUP(finding_done) = {0}, bad CLEANUP(finding_done) = {0};
    cleanup_proc struct proc_result keygen = PROC_RESULT_INIT(TEXT_MAX, TEXT_MAX);

    (void)state;
    finding_init(&good, &ssh_upstream, 0);
    finding_init(&bad, &ssh_upstream, 0);
    buf_adds(&keygen.out, "ssh-ed25519 " KEY " a comment\n");
    keygen.exit_code = 0;
    finding_key(&good, &keygen);
    expect(&good, "ok     app: key ssh-ed25519 " PRINT "\n");
    buf_adds(&keygen.err, "Load key \"gitgate/key\": error in libcrypto");
    keygen.exit_code = 255;
    finding_key(&bad, &keygen);
    expect(&bad, "WRONG  app: ssh can't read the key of spec.upstreams[0].ssh.secretRef\n"
                 "       to do: put the file that ssh-keygen made into Secret deploy whole "
                 "(--from-file=ssh-privatekey=KEY)\n");
}

static void git(struct finding *finding, bool push, const char *said)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(TEXT_MAX, TEXT_MAX);

    result.exit_code = 128;
    buf_adds(&result.err, said);
    if (push)
        finding_push(finding, &result);
    else
        finding_git(finding, &result);
}

/* What the other side sends may hold what it was sent. */
static void of_git_s_words_only_its_own_are_shown(void **state)
{
    struct finding finding CLEANUP(finding_done) = {0};

    (void)state;
    finding_init(&finding, &ssh_upstream, 0);
    git(&finding, false,
        "remote: your password word is wrong\nword\n\x1b[2Jfatal: word\nfatal: the end\x1b[2J\n"
        "fatal: word\n");
    expect(&finding, "WRONG  app: git could not talk to git.example.com; fatal: the end?[2J\n"
                     "       to do: try the same by hand: git ls-remote "
                     "ssh://git@git.example.com:2222/team/app.git\n");
}

static void a_push_that_may_not_begin_is_told_from_a_network_that_fails(void **state)
{
    static const struct {
        const char *said;
        enum fault fault;
    } cases[] = {
        {"ERROR: Permission to team/app.git denied to deploy key\nfatal: Could not read from "
         "remote repository.",
         FAULT_ACCESS},
        {"ERROR: The key you are authenticating with has been marked as read only.", FAULT_ACCESS},
        {"fatal: unable to access 'https://git.example.com/': The requested URL returned error: "
         "403",
         FAULT_ACCESS},
        {"fatal: Authentication failed for 'https://git.example.com/'", FAULT_ACCESS},
        {"ssh: connect to host git.example.com port 22: Connection timed out", FAULT_SILENT},
        {"fatal: unable to access 'https://git.example.com/': The requested URL returned error: "
         "503",
         FAULT_SERVER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct finding finding CLEANUP(finding_done) = {0};

        finding_init(&finding, &https_upstream, 0);
        git(&finding, true, cases[i].said);
        if (finding.fault != cases[i].fault)
            fail_msg("%s: %d", cases[i].said, finding.fault);
    }
}

static void the_first_fault_stays(void **state)
{
    struct finding finding CLEANUP(finding_done) = {0};

    (void)state;
    finding_init(&finding, &ssh_upstream, 2);
    git(&finding, false, "git@git.example.com: Permission denied (publickey).");
    finding_fail(&finding, FAULT_NAME, "another");
    git(&finding, true, "Connection refused");
    assert_int_equal(finding.fault, FAULT_KEY_REFUSED);
    assert_string_equal(finding.what.data,
                        "git.example.com refused the key of spec.upstreams[2].ssh.secretRef");
}

/* A kind without a name or advice would be a crash on somebody else's machine. */
static void every_kind_of_fault_has_a_name_and_advice(void **state)
{
    (void)state;
    for (enum fault fault = FAULT_NONE + 1; fault <= FAULT_OTHER; fault++) {
        struct finding finding CLEANUP(finding_done) = {0};
        json_auto_t *object = NULL;
        json_t *said;

        finding_init(&finding, &https_upstream, 0);
        finding_fail(&finding, fault, "x");
        object = finding_json(&finding);
        said = json_object_get(object, "fault");
        assert_true(json_string_length(json_object_get(said, "kind")) > 0);
        assert_true(json_string_length(json_object_get(said, "advice")) > 0);
        assert_null(strchr(json_string_value(json_object_get(said, "advice")), '%'));
    }
}

/* ---- fingerprints ---- */

static void expect_prints(const char *text, enum fingerprints_form form, int n, const char *prints)
{
    cleanup_buf struct buf out = BUF_INIT(FINGERPRINT_MAX);

    assert_int_equal(fingerprints_add(&out, text, form), n);
    assert_string_equal(out.data, prints);
}

static void keys_are_shown_as_ssh_keygen_shows_them(void **state)
{
    (void)state;
    expect_prints("ssh-ed25519 " KEY " a comment\n", FINGERPRINTS_KEYS, 1, "ssh-ed25519 " PRINT);
    expect_prints("# git.example.com:22 SSH-2.0\n[h]:22 ssh-rsa " KEY "\r\nh ssh-ed25519 " KEY
                  "\nh ssh-rsa " KEY "\n",
                  FINGERPRINTS_HOSTS, 2, "ssh-rsa " PRINT ", ssh-ed25519 " PRINT);
}

static void what_is_no_key_is_passed_over(void **state)
{
    cleanup_buf struct buf many = BUF_INIT(1u << 20), out = BUF_INIT(FINGERPRINT_MAX);

    (void)state;
    expect_prints("", FINGERPRINTS_HOSTS, 0, "");
    expect_prints("\n\nh\nh ssh-rsa\nh ssh-rsa !!!\nh \x1b[2J " KEY "\nh  \n ", FINGERPRINTS_HOSTS,
                  0, "");
    for (int i = 0; i < 1000; i++)
        buf_addf(&many, "h type%d " KEY "\n", i);
    assert_int_equal(fingerprints_add(&out, many.data, FINGERPRINTS_HOSTS), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_is_one_line),
        cmocka_unit_test(each_way_not_to_connect_has_its_line),
        cmocka_unit_test(a_key_is_named_by_its_fingerprint_and_by_nothing_else),
        cmocka_unit_test(of_git_s_words_only_its_own_are_shown),
        cmocka_unit_test(a_push_that_may_not_begin_is_told_from_a_network_that_fails),
        cmocka_unit_test(the_first_fault_stays),
        cmocka_unit_test(every_kind_of_fault_has_a_name_and_advice),
        cmocka_unit_test(keys_are_shown_as_ssh_keygen_shows_them),
        cmocka_unit_test(what_is_no_key_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
