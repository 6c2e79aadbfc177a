#include "finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "fingerprints.h"
#include "policy.h"

#define PASS_MAX 200
#define SAID_MAX 300 /* of git's own words */

/* By fault: its name for programs, and what to do. As reason_fill takes it; %u is the URL. */
static const struct {
    const char *name, *advice;
} faults[] = {
    [FAULT_CREDENTIAL] = {"credential", "mend that in the file, and check again"},
    [FAULT_KEY_UNREADABLE] = {"key-unreadable",
                              "put the file that ssh-keygen made into Secret %s whole "
                              "(--from-file=ssh-privatekey=KEY)"},
    [FAULT_NAME] = {"name", "correct the name in %f.url, or give its address in %f.extraHosts "
                            "(%h: ADDRESS)"},
    [FAULT_REFUSED] = {"refused", "compare the port in %f.url with the server's"},
    [FAULT_SILENT] = {"silent", "look for a firewall on the way, and compare address and port with "
                                "the server's"},
    [FAULT_UNREACHABLE] = {"unreachable", "look at this machine's network, and compare the address "
                                          "with the server's"},
    [FAULT_CONNECTION] = {"connection", "look into the server's log: it may have had enough of "
                                        "this address, or not be the server that is meant"},
    [FAULT_HOST_KEY] = {"host-key", "compare with what the owner of %h publishes; only when it is "
                                    "theirs, put it into %k"},
    [FAULT_KEY_REFUSED] = {"key-refused", "have the public half of that key added at %h, and "
                                          "compare the user in %f.url"},
    [FAULT_CERTIFICATE] = {"certificate", "compare the certificate with %f.http.caBundle"},
    [FAULT_AUTHORITY] = {"certificate-authority", "when it is the right server, name a ConfigMap "
                                                  "with its authority's certificate in "
                                                  "%f.http.caBundle"},
    [FAULT_EXPIRED] = {"certificate-expired", "have the owner of %h renew it; and compare this "
                                              "machine's clock"},
    [FAULT_OTHER_HOST] = {"certificate-host", "use a name that the certificate holds in %f.url "
                                              "(and in extraHosts, where DNS has it not)"},
    [FAULT_CA_BUNDLE] = {"ca-bundle", "put a PEM certificate there"},
    [FAULT_TLS] = {"tls", "compare the port in %f.url with the one that serves https"},
    [FAULT_LOGIN] = {"login", "put a user and password, or a token, that hold at %h into that "
                              "Secret"},
    [FAULT_REDIRECT] = {"redirect", "put the URL that it leads to into %f.url"},
    [FAULT_REPOSITORY] = {"repository", "compare the path in %f.url, and have this credential "
                                        "given the right to read the repository"},
    [FAULT_ACCESS] = {"access", "have this credential given the right, or say %f.push.policy: Deny "
                                "when nothing is to be pushed"},
    [FAULT_SERVER] = {"server", "try again later, or ask the owner of %h"},
    [FAULT_GATE] = {"machine", "mend that on this machine"},
    [FAULT_OTHER] = {"other", "try the same by hand: git ls-remote %u"},
};

void finding_init(struct finding *finding, const struct upstream *upstream, size_t index)
{
    *finding = (struct finding){
        .upstream = upstream,
        .index = index,
        .checked = json_array(),
        .what = BUF_INIT(FINDING_TEXT_MAX),
        .detail = BUF_INIT(FINDING_TEXT_MAX),
    };
}

void finding_done(struct finding *finding)
{
    json_decref(finding->checked);
    buf_done(&finding->what);
    buf_done(&finding->detail);
}

void finding_pass(struct finding *finding, const char *fmt, ...)
{
    char text[PASS_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_array_append_new(finding->checked, json_string(text));
}

void finding_fail(struct finding *finding, enum fault fault, const char *sentence)
{
    if (finding->fault != FAULT_NONE)
        return;
    finding->fault = fault;
    reason_fill(&finding->what, sentence, finding->upstream, finding->index);
}

void finding_problem(struct finding *finding, const char *file, const struct problem *problem)
{
    if (finding->fault != FAULT_NONE)
        return;
    finding->fault = FAULT_CREDENTIAL;
    buf_addf(&finding->what, "%s: %s", problem->path, problem->message);
    buf_addf(&finding->detail, "see %s:%d:%d", file, problem->line, problem->column);
}

/* ---- the connection ---- */

static void reach_detail(struct buf *to, const struct reach *reach)
{
    if (reach->fault == FAULT_AUTHORITY && *reach->issuer)
        buf_addf(to, "it was issued by %s", reach->issuer);
    if (reach->fault == FAULT_EXPIRED && *reach->expires)
        buf_addf(to, "its last day was %s", reach->expires);
    if (reach->fault == FAULT_OTHER_HOST && *reach->names)
        buf_addf(to, "it is for %s", reach->names);
}

static const char *reach_sentence(enum fault fault)
{
    switch (fault) {
    case FAULT_NAME:
        return "the name %h can't be resolved";
    case FAULT_REFUSED:
        return "%h refused the connection: nothing listens at that port";
    case FAULT_SILENT:
        return "%h does not answer";
    case FAULT_UNREACHABLE:
        return "there is no route to %h";
    case FAULT_AUTHORITY:
        return "the certificate of %h is from nobody whom the gate trusts";
    case FAULT_EXPIRED:
        return "the certificate of %h has expired";
    case FAULT_OTHER_HOST:
        return "the certificate of %h is for another host";
    case FAULT_CERTIFICATE:
        return "the certificate of %h is not valid";
    case FAULT_CA_BUNDLE:
        return "%f.http.caBundle holds no certificate that can be read";
    case FAULT_TLS:
        return "%h does not speak TLS there, or none that the gate accepts";
    default:
        return "%h can't be reached";
    }
}

void finding_reach(struct finding *finding, const struct reach *reach, bool extra)
{
    const struct url *url = &finding->upstream->url;
    const char *address = *reach->address ? reach->address : url->host;

    if (reach->fault == FAULT_NONE) {
        finding_pass(finding, "%s port %u%s", address, url->port, extra ? " (extraHosts)" : "");
        if (url->scheme == URL_HTTPS)
            finding_pass(finding, "certificate");
        return;
    }
    finding_fail(finding, reach->fault, reach_sentence(reach->fault));
    if (reach->fault == FAULT_REFUSED || reach->fault == FAULT_UNREACHABLE)
        buf_addf(&finding->detail, "tried: %s port %u%s", address, url->port,
                 extra ? ", from extraHosts" : "");
    if (reach->fault == FAULT_SILENT)
        buf_addf(&finding->detail, "tried for %d s: %s port %u%s", reach->seconds, address,
                 url->port, extra ? ", from extraHosts" : "");
    reach_detail(&finding->detail, reach);
}

/* ---- the key ---- */

void finding_key(struct finding *finding, const struct proc_result *keygen)
{
    cleanup_buf struct buf fingerprint = BUF_INIT(FINGERPRINT_MAX);

    if (keygen->exit_code == 0) {
        fingerprints_add(&fingerprint, keygen->out.data, FINGERPRINTS_KEYS);
        finding_pass(finding, "key %s", fingerprint.data);
    } else {
        finding_fail(finding, FAULT_KEY_UNREADABLE, "ssh can't read the key of %f.ssh.secretRef");
    }
}

/* ---- git ---- */

/* The first line that git or ssh has said by itself; not what the other side had them print. */
static void add_own_words(struct buf *to, const char *said)
{
    for (const char *line = said; *line;) {
        size_t len = strcspn(line, "\n");

        if (text_starts(line, "fatal: ") || text_starts(line, "ssh: ") ||
            text_starts(line, "error: ")) {
            printable(to, line, len < SAID_MAX ? len : SAID_MAX);
            return;
        }
        line += len + (line[len] == '\n');
    }
}

void finding_git(struct finding *finding, const struct proc_result *result)
{
    cleanup_buf struct buf sentence = BUF_INIT(FINDING_TEXT_MAX);
    enum fault fault = reason_add(&sentence, finding->upstream, finding->index, result);

    if (fault == FAULT_OTHER) {
        finding_fail(finding, fault, "git could not talk to %h");
        add_own_words(&finding->detail, result->err.data);
        return;
    }
    if (finding->fault != FAULT_NONE)
        return;
    finding->fault = fault;
    buf_adds(&finding->what, sentence.data);
}

void finding_push(struct finding *finding, const struct proc_result *result)
{
    cleanup_buf struct buf sentence = BUF_INIT(FINDING_TEXT_MAX);
    enum fault fault = reason_add(&sentence, finding->upstream, finding->index, result);

    if (fault != FAULT_OTHER && fault != FAULT_REPOSITORY && fault != FAULT_ACCESS &&
        fault != FAULT_LOGIN && fault != FAULT_CONNECTION) {
        finding_git(finding, result);
        return;
    }
    finding_fail(finding, FAULT_ACCESS,
                 finding->upstream->auth == AUTH_ANONYMOUS
                     ? "%h lets nobody push without a credential, and %f names none"
                     : "%h lets this credential read the repository, but not push to it");
    add_own_words(&finding->detail, result->err.data);
}

/* ---- saying it ---- */

static void advise(const struct finding *finding, struct buf *to)
{
    const char *advice = faults[finding->fault].advice, *url = strstr(advice, "%u");

    if (!url) {
        reason_fill(to, advice, finding->upstream, finding->index);
        return;
    }
    buf_add(to, advice, (size_t)(url - advice));
    buf_adds(to, finding->upstream->url_text);
}

static void add_checked(const struct finding *finding, struct buf *to)
{
    json_t *text;
    size_t i;

    json_array_foreach(finding->checked, i, text) {
        buf_adds(to, i ? ", " : "");
        buf_adds(to, json_string_value(text));
    }
}

void finding_print(const struct finding *finding, struct buf *to)
{
    const struct upstream *upstream = finding->upstream;

    if (finding->fault == FAULT_NONE) {
        buf_addf(to, "ok     %s: ", upstream->name);
        add_checked(finding, to);
        buf_addc(to, '\n');
        return;
    }
    buf_addf(to, "WRONG  %s: %s", upstream->name, finding->what.data);
    if (finding->detail.len)
        buf_addf(to, "; %s", finding->detail.data);
    if (json_array_size(finding->checked)) {
        buf_adds(to, " (right so far: ");
        add_checked(finding, to);
        buf_addc(to, ')');
    }
    buf_adds(to, "\n       to do: ");
    advise(finding, to);
    buf_addc(to, '\n');
}

json_t *finding_json(const struct finding *finding)
{
    cleanup_buf struct buf advice = BUF_INIT(FINDING_TEXT_MAX);
    json_t *object = json_pack("{s:s, s:s, s:b, s:O}", "name", finding->upstream->name, "url",
                               finding->upstream->url_text, "ok", finding->fault == FAULT_NONE,
                               "checked", finding->checked);

    if (finding->fault == FAULT_NONE)
        return object;
    advise(finding, &advice);
    json_object_set_new(object, "fault",
                        json_pack("{s:s, s:s, s:s, s:s}", "kind", faults[finding->fault].name,
                                  "message", finding->what.data, "detail", finding->detail.data,
                                  "advice", advice.data));
    return object;
}
