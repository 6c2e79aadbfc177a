#include "reason.h"

#include <string.h>

#include "words.h"

/* What git says of an ssh or https upstream ends in the same general words; the first match counts,
 * so what is most particular comes first. The letters behind "%" are reason_fill's. */
struct reason {
    const char *said;
    enum fault fault;
    const char *sentence;
};

static const struct reason reasons[] = {
    {"Could not resolve host", FAULT_NAME, "the name %h can't be resolved"},
    {"Name or service not known", FAULT_NAME, "the name %h can't be resolved"},
    {"Temporary failure in name resolution", FAULT_NAME, "the name %h can't be resolved just now"},

    {"No ED25519 host key is known", FAULT_HOST_KEY, "the host key of %h is not among %k"},
    {"host key is known for", FAULT_HOST_KEY, "the host key of %h is not among %k"},
    {"REMOTE HOST IDENTIFICATION HAS CHANGED", FAULT_HOST_KEY,
     "the host key of %h is not among %k"},
    {"Host key verification failed", FAULT_HOST_KEY, "the host key of %h is not among %k"},
    {"no matching host key type", FAULT_HOST_KEY, "%h offers no type of host key that is in %k"},

    {"Load key", FAULT_KEY_UNREADABLE,
     "the key of %f.ssh.secretRef can't be read (a passphrase, or not a private key)"},
    {"Permission denied (", FAULT_KEY_REFUSED, "%h refused the key of %f.ssh.secretRef"},
    {"Too many authentication failures", FAULT_KEY_REFUSED,
     "%h refused the key of %f.ssh.secretRef"},

    {"Connection refused", FAULT_REFUSED, "%h refused the connection"},
    {"Connection timed out", FAULT_SILENT, "%h does not answer"},
    {"Operation timed out", FAULT_SILENT, "%h does not answer"},
    {"not responding", FAULT_SILENT, "%h stopped answering"},
    {"No route to host", FAULT_UNREACHABLE, "there is no route to %h"},
    {"Network is unreachable", FAULT_UNREACHABLE, "there is no route to %h"},
    {"Connection reset", FAULT_CONNECTION, "%h ended the connection"},
    {"Connection closed", FAULT_CONNECTION, "%h ended the connection"},
    {"kex_exchange_identification", FAULT_CONNECTION, "%h ended the connection"},

    {"does not match target host name", FAULT_OTHER_HOST,
     "the certificate of %h is for another host (%f.url names the host)"},
    {"no alternative certificate subject name matches", FAULT_OTHER_HOST,
     "the certificate of %h is for another host (%f.url names the host)"},
    {"SSL certificate problem", FAULT_CERTIFICATE,
     "the certificate of %h is not trusted, or has expired (%f.http.caBundle)"},
    {"server certificate verification failed", FAULT_CERTIFICATE,
     "the certificate of %h is not trusted, or has expired (%f.http.caBundle)"},
    {"SSL CA cert", FAULT_CA_BUNDLE, "%f.http.caBundle holds no certificate that can be read"},
    {"error setting certificate", FAULT_CA_BUNDLE,
     "%f.http.caBundle holds no certificate that can be read"},
    {"gnutls_handshake() failed", FAULT_TLS,
     "%h does not speak TLS there, or none that the gate accepts"},
    {"SSL routines", FAULT_TLS, "%h does not speak TLS there, or none that the gate accepts"},
    {"Authentication failed", FAULT_LOGIN, "%h refused the credential of %f.http.secretRef"},
    /* git asks for another credential than the one that was refused. */
    {"could not read Username", FAULT_LOGIN, "%h %a"},
    {"returned error: 401", FAULT_LOGIN, "%h %a"},
    {"returned error: 403", FAULT_ACCESS, "%h denies access to this repository"},
    {"returned error: 30", FAULT_REDIRECT,
     "%h redirects this repository, which the gate does not follow: name "
     "the URL that it leads to in %f.url"},
    {"returned error: 429", FAULT_SERVER, "%h asks for fewer requests (429); try again later"},
    {"returned error: 5", FAULT_SERVER, "%h is out of order (it answers with an error of its own)"},
    {"Failed to connect", FAULT_UNREACHABLE, "%h can't be reached"},
    {"Couldn't connect", FAULT_UNREACHABLE, "%h can't be reached"},
    {"Operation too slow", FAULT_SILENT, "%h stopped answering"},
    {"not valid: is this a git repository?", FAULT_SERVER,
     "%h does not answer as a git server does"},

    {"does not appear to be a git repository", FAULT_REPOSITORY,
     "%h has no such repository, or hides it from this key"},
    {"epository not found", FAULT_REPOSITORY,
     "%h has no such repository, or hides it from this credential"},
    {"' not found", FAULT_REPOSITORY,
     "%h has no such repository, or hides it from this credential"},
    {"does not exist", FAULT_REPOSITORY,
     "%h has no such repository, or hides it from this credential"},
    {"could not be found", FAULT_REPOSITORY,
     "%h has no such repository, or hides it from this credential"},
    {"protected branch", FAULT_ACCESS, "%h protects this branch"},
    {"marked as read only", FAULT_ACCESS, "%h does not allow this credential to push"},
    {"not allowed to push", FAULT_ACCESS, "%h does not allow this credential to push"},
    {"not authorized to write", FAULT_ACCESS, "%h does not allow this credential to push"},
    {"push access", FAULT_ACCESS, "%h does not allow this credential to push"},
    {"not support this repository's object format", FAULT_SERVER, /* protocol version 0 */
     "%h has a repository with SHA-256 object ids, which the gate can't mirror"},
    {"mismatched algorithms", FAULT_SERVER,
     "%h has a repository with SHA-256 object ids, which the gate can't mirror"},
};

#define OUT_OF_MEMORY                                                                              \
    "this takes more memory than the gate has (spec.gate.resources); its log says more"

/* The same of our own machine; an upstream that says it of its own is not meant. */
static const struct reason own_reasons[] = {
    {"No space left on device", FAULT_GATE, "the gate's disk is full"},
    {"Disk quota exceeded", FAULT_GATE, "the gate's disk is full"},
    {"Read-only file system", FAULT_GATE, "the gate's disk can't be written to"},
    {"Input/output error", FAULT_GATE, "the gate's disk can't be read or written"},
    {"ut of memory", FAULT_GATE, OUT_OF_MEMORY},
    {"llocate memory", FAULT_GATE, OUT_OF_MEMORY},
};

static const struct reason *find_own(const char *said)
{
    for (size_t i = 0; i < sizeof own_reasons / sizeof *own_reasons; i++)
        if (words_have(said, own_reasons[i].said))
            return &own_reasons[i];
    return NULL;
}

static bool line_has(const struct words *words, const char *phrase)
{
    return memmem(words->line, words->len, phrase, strlen(phrase)) != NULL;
}

/* Whether a program of git's was killed here, as the kernel does where a container's memory is at
 * its end. index-pack writes nothing then; who waits for it says that first. */
static bool was_killed(const char *said)
{
    for (struct words words = WORDS_INIT(said); words_next(&words);) {
        if (line_has(&words, "died of signal 9") ||
            line_has(&words, "fetch-pack: invalid index-pack output"))
            return true;
        if (line_has(&words, "fatal: ") || line_has(&words, "error: "))
            return false;
    }
    return false;
}

/* Once the server speaks git, the way to it was found: of that, what it says ("remote: ") tells
 * nothing. ssh's own words and the server's beside git's protocol can't be told apart. */
static bool is_said(const char *said, const struct reason *reason)
{
    bool of_the_way = reason->fault < FAULT_LOGIN;

    for (const char *line = said, *end; *line; line = *end ? end + 1 : end) {
        size_t len = strcspn(line, "\n\r");

        end = line + len;
        if (of_the_way && strncmp(line, "remote: ", strlen("remote: ")) == 0)
            continue;
        if (memmem(line, len, reason->said, strlen(reason->said)))
            return true;
    }
    return false;
}

void reason_fill(struct buf *to, const char *sentence, const struct upstream *upstream,
                 size_t index)
{
    for (const char *p = sentence; *p; p++) {
        if (p[0] == '%' && p[1] == 'h')
            buf_adds(to, upstream->url.host);
        else if (p[0] == '%' && p[1] == 'f')
            buf_addf(to, "spec.upstreams[%zu]", index);
        else if (p[0] == '%' && p[1] == 's')
            buf_adds(to, upstream->secret ? upstream->secret : "");
        else if (p[0] == '%' && p[1] == 'k')
            buf_addf(to,
                     upstream->known_host_keys && upstream->known_host_keys[0]
                         ? "spec.upstreams[%zu].ssh.knownHostKeys"
                         : "the known_hosts of spec.upstreams[%zu].ssh.secretRef",
                     index);
        else if (p[0] == '%' && p[1] == 'a')
            buf_addf(to,
                     upstream->auth == AUTH_HTTP
                         ? "refused the credential of spec.upstreams[%zu].http.secretRef"
                         : "asks for a credential: name one in "
                           "spec.upstreams[%zu].http.secretRef",
                     index);
        else {
            buf_addc(to, *p);
            continue;
        }
        p++;
    }
}

enum fault reason_add(struct buf *to, const struct upstream *upstream, size_t index,
                      const struct proc_result *result)
{
    const struct reason *own = find_own(result->err.data);

    if (own) {
        reason_fill(to, own->sentence, upstream, index);
        return own->fault;
    }
    if (result->timed_out) {
        reason_fill(to, "%h did not answer in time", upstream, index);
        return FAULT_SILENT;
    }
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (is_said(result->err.data, &reasons[i])) {
            reason_fill(to, reasons[i].sentence, upstream, index);
            return reasons[i].fault;
        }
    if (was_killed(result->err.data)) {
        reason_fill(to, "git was killed: most likely " OUT_OF_MEMORY, upstream, index);
        return FAULT_GATE;
    }
    reason_fill(to, "git could not talk to %h; the gate's log has its words", upstream, index);
    return FAULT_OTHER;
}
