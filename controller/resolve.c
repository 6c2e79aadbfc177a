#include "resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/ip.h"
#include "kube/store.h"

#define AGAIN_MS 30000u        /* the TTL that large git hosts give is 60 s */
#define AGAIN_FAILED_MS 5000u  /* a name that was just made, or a DNS that comes back */
#define KEEP_MS (15u * 60000u) /* after its last answer; longer than any TTL in use there */
#define ADDRESSES_MAX 64u      /* of one host; a NetworkPolicy holds a rule for each */

struct address {
    char ip[IP_TEXT_MAX];
    uint64_t seen; /* uv_now of the last answer with it */
};

struct entry {
    struct resolver *resolver;
    uv_getaddrinfo_t request;
    uv_timer_t again;
    bool asking, answered, gone, timer_closed;
    unsigned holds;
    uint64_t since;
    struct address addresses[ADDRESSES_MAX];
    size_t n;
    const char *ips[ADDRESSES_MAX + 1];
    char error[128];
    char host[];
};

struct resolver {
    uv_loop_t *loop;
    struct kube_store *entries;
    void (*changed)(void *data, const char *host);
    void *data;
};

/* ---- Answers ------------------------------------------------------------------------------ */

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct address *)a)->ip, ((const struct address *)b)->ip);
}

static void list_ips(struct entry *entry)
{
    qsort(entry->addresses, entry->n, sizeof *entry->addresses, by_text);
    for (size_t i = 0; i < entry->n; i++)
        entry->ips[i] = entry->addresses[i].ip;
    entry->ips[entry->n] = NULL;
}

/* True when it is new. */
static bool take(struct entry *entry, const struct sockaddr *address, uint64_t now)
{
    char text[INET6_ADDRSTRLEN], canonical[IP_TEXT_MAX];
    struct ip ip;

    if (uv_ip_name(address, text, sizeof text) < 0 || ip_parse(text, &ip) < 0 || ip_is_never(&ip))
        return false;
    ip_print(&ip, canonical);
    for (size_t i = 0; i < entry->n; i++)
        if (strcmp(entry->addresses[i].ip, canonical) == 0) {
            entry->addresses[i].seen = now;
            return false;
        }
    if (entry->n == ADDRESSES_MAX)
        return false;
    snprintf(entry->addresses[entry->n].ip, IP_TEXT_MAX, "%s", canonical);
    entry->addresses[entry->n++].seen = now;
    return true;
}

/* True when one was dropped. */
static bool drop_old(struct entry *entry, uint64_t now)
{
    size_t kept = 0, before = entry->n;

    for (size_t i = 0; i < entry->n; i++)
        if (now - entry->addresses[i].seen < KEEP_MS)
            entry->addresses[kept++] = entry->addresses[i];
    entry->n = kept;
    return kept != before;
}

static bool take_all(struct entry *entry, const struct addrinfo *answer)
{
    uint64_t now = uv_now(entry->resolver->loop);
    bool changed = false;

    for (; answer; answer = answer->ai_next)
        changed |= take(entry, answer->ai_addr, now);
    changed |= drop_old(entry, now);
    return changed;
}

static bool set_error(struct entry *entry, const char *text)
{
    bool changed = strcmp(entry->error, text) != 0;

    snprintf(entry->error, sizeof entry->error, "%s", text);
    return changed;
}

/* ---- Look-ups ----------------------------------------------------------------------------- */

static void free_if_over(struct entry *entry)
{
    if (entry->gone && entry->timer_closed && !entry->asking)
        free(entry);
}

static void on_again(uv_timer_t *timer);

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *answer)
{
    struct entry *entry = request->data;
    bool first = !entry->answered, changed = false;

    entry->asking = false;
    if (entry->gone) {
        uv_freeaddrinfo(answer);
        free_if_over(entry);
        return;
    }
    entry->answered = true;
    if (status == 0)
        changed = take_all(entry, answer);
    uv_freeaddrinfo(answer);
    if (status == 0 && entry->n == 0)
        changed |= set_error(entry, "it has no address that may be reached");
    else
        changed |= set_error(entry, status < 0 ? uv_strerror(status) : "");
    list_ips(entry);
    uv_timer_start(&entry->again, on_again, status < 0 ? AGAIN_FAILED_MS : AGAIN_MS, 0);
    if (first || changed)
        entry->resolver->changed(entry->resolver->data, entry->host);
}

static void ask(struct entry *entry)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int r = uv_getaddrinfo(entry->resolver->loop, &entry->request, on_answer, entry->host, NULL,
                           &hints);

    entry->asking = r == 0;
    if (r < 0) {
        entry->answered = true;
        set_error(entry, uv_strerror(r));
        uv_timer_start(&entry->again, on_again, AGAIN_FAILED_MS, 0);
    }
}

static void on_again(uv_timer_t *timer)
{
    ask(timer->data);
}

/* ---- Holding ------------------------------------------------------------------------------ */

static void on_timer_closed(uv_handle_t *timer)
{
    struct entry *entry = timer->data;

    entry->timer_closed = true;
    free_if_over(entry);
}

static void release(void *value)
{
    struct entry *entry = value;

    entry->gone = true;
    if (entry->asking)
        uv_cancel((uv_req_t *)&entry->request);
    uv_close((uv_handle_t *)&entry->again, on_timer_closed);
}

struct resolver *resolver_new(uv_loop_t *loop, void (*changed)(void *data, const char *host),
                              void *data)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);

    if (!resolver)
        return NULL;
    *resolver = (struct resolver){
        .loop = loop, .entries = kube_store_new(release), .changed = changed, .data = data};
    if (!resolver->entries) {
        free(resolver);
        return NULL;
    }
    return resolver;
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    kube_store_free(resolver->entries);
    free(resolver);
}

int resolver_hold(struct resolver *resolver, const char *host)
{
    struct entry *entry = kube_store_get(resolver->entries, "", host);
    size_t size = strlen(host) + 1;

    if (entry) {
        entry->holds++;
        return 0;
    }
    entry = calloc(1, sizeof *entry + size);
    if (!entry)
        return -ENOMEM;
    entry->resolver = resolver;
    entry->holds = 1;
    entry->since = uv_now(resolver->loop);
    memcpy(entry->host, host, size);
    uv_timer_init(resolver->loop, &entry->again);
    entry->again.data = entry->request.data = entry;
    if (kube_store_put(resolver->entries, "", host, entry) < 0)
        return -ENOMEM;
    ask(entry);
    return 0;
}

void resolver_drop(struct resolver *resolver, const char *host)
{
    struct entry *entry = kube_store_get(resolver->entries, "", host);

    if (entry && --entry->holds == 0)
        kube_store_remove(resolver->entries, "", host);
}

struct resolution resolver_get(const struct resolver *resolver, const char *host)
{
    static const char *const none[] = {NULL};
    struct entry *entry = kube_store_get(resolver->entries, "", host);

    if (!entry)
        return (struct resolution){.ips = none, .error = "memory is short"};
    return (struct resolution){.pending = !entry->answered,
                               .since = entry->since,
                               .ips = entry->ips,
                               .error = entry->error};
}
