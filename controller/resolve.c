#include "resolve.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/ip.h"
#include "kube/store.h"
#include "turns.h"

#define AGAIN_MS 30000u        /* the TTL that large git hosts give is 60 s */
#define AGAIN_FAILED_MS 5000u  /* a name that was just made, or a DNS that comes back */
#define KEEP_MS (15u * 60000u) /* after its last answer; longer than any TTL in use there */
#define ADDRESSES_MAX 64u      /* of one host; a NetworkPolicy holds a rule for each */
#define ANSWER_MAX 256u        /* addresses that are looked at; one has room for thousands */

/* At once, of all and of a namespace. A name server that never answers costs the C library ten
 * seconds and more a look-up. */
#define LOOK_UPS 8u
#define LOOK_UPS_EACH 2u
#define THREADS "16" /* of libuv's, half serve look-ups */

struct address {
    char ip[IP_TEXT_MAX];
    uint64_t seen; /* uv_now of the last answer with it */
};

struct entry {
    struct resolver *resolver;
    uv_getaddrinfo_t request;
    uv_timer_t again;
    bool asking, answered, gone, timer_closed;
    struct tenant *tenant; /* whose look-up it is, while it is asking */
    unsigned holds;        /* namespaces */
    uint64_t since;
    struct address *addresses;
    size_t n, size;
    const char **ips; /* as many, and a NULL; NULL while there never was one */
    char error[128];
    char host[];
};

/* A namespace's interest in a host. */
struct hold {
    struct entry *entry;
    struct turn turn; /* waits when the host is to be looked up */
    unsigned count;
};

struct resolver {
    uv_loop_t *loop;
    struct kube_store *entries; /* by host: pointers, since handles of libuv close later */
    struct kube_store *holds;   /* by host and namespace */
    struct turns *turns;
    unsigned asking; /* look-ups under way */
    bool over;       /* and it goes with the last of them */
    resolver_changed_fn *changed;
    void *data;
};

/* ---- Answers ------------------------------------------------------------------------------ */

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct address *)a)->ip, ((const struct address *)b)->ip);
}

static void list_ips(struct entry *entry)
{
    if (!entry->ips)
        return;
    qsort(entry->addresses, entry->n, sizeof *entry->addresses, by_text);
    for (size_t i = 0; i < entry->n; i++)
        entry->ips[i] = entry->addresses[i].ip;
    entry->ips[entry->n] = NULL;
}

/* For one more. Who may write GitGates chooses their hosts, thousands: most have an address or two.
 * What `ips` points to is good again after list_ips. */
static int make_room(struct entry *entry)
{
    size_t size = entry->size ? 2 * entry->size : 1;
    struct address *addresses;
    const char **ips;

    if (entry->n < entry->size)
        return 0;
    addresses = reallocarray(entry->addresses, size, sizeof *addresses);
    if (!addresses)
        return -ENOMEM;
    entry->addresses = addresses;
    ips = reallocarray(entry->ips, size + 1, sizeof *ips);
    if (!ips)
        return -ENOMEM;
    entry->ips = ips;
    entry->size = size;
    return 0;
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
    if (entry->n == ADDRESSES_MAX || make_room(entry) < 0)
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

    for (unsigned i = 0; answer && i < ANSWER_MAX; answer = answer->ai_next, i++)
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
    if (!entry->gone || !entry->timer_closed || entry->asking)
        return;
    free(entry->addresses);
    free(entry->ips);
    free(entry);
}

static void free_resolver_if_over(struct resolver *resolver)
{
    if (!resolver->over || resolver->asking)
        return;
    turns_free(resolver->turns);
    free(resolver);
}

static void on_due(uv_timer_t *timer);
static void ask_next(struct resolver *resolver);

struct telling {
    struct resolver *resolver;
    bool awaited;
};

static bool tell(void *data, const char *host, const char *ns, void *hold)
{
    const struct telling *telling = data;

    (void)hold;
    telling->resolver->changed(telling->resolver->data, ns, host, telling->awaited);
    return true;
}

static void take_answer(struct entry *entry, int status, const struct addrinfo *answer)
{
    struct telling telling = {.resolver = entry->resolver};
    bool first = !entry->answered, had_none = entry->n == 0, changed = false;

    entry->answered = true;
    if (status == 0)
        changed = take_all(entry, answer);
    if (status == 0 && entry->n == 0)
        changed |= set_error(entry, "it has no address that may be reached");
    else
        changed |= set_error(entry, status < 0 ? uv_strerror(status) : "");
    list_ips(entry);
    uv_timer_start(&entry->again, on_due, status < 0 ? AGAIN_FAILED_MS : AGAIN_MS, 0);
    telling.awaited = first || (had_none && entry->n);
    if (first || changed)
        kube_store_each(telling.resolver->holds, entry->host, tell, &telling);
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *answer)
{
    struct entry *entry = request->data;
    struct resolver *resolver = entry->resolver;

    entry->asking = false;
    resolver->asking--;
    turns_end(resolver->turns, entry->tenant);
    if (entry->gone)
        free_if_over(entry);
    else
        take_answer(entry, status, answer);
    uv_freeaddrinfo(answer);
    if (!resolver->over)
        ask_next(resolver);
    free_resolver_if_over(resolver);
}

static void ask(struct entry *entry, struct tenant *tenant)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct resolver *resolver = entry->resolver;
    int r = uv_getaddrinfo(resolver->loop, &entry->request, on_answer, entry->host, NULL, &hints);

    entry->asking = r == 0;
    entry->tenant = tenant;
    resolver->asking += entry->asking;
    if (r < 0) {
        turns_end(resolver->turns, tenant);
        entry->answered = true;
        set_error(entry, uv_strerror(r));
        uv_timer_start(&entry->again, on_due, AGAIN_FAILED_MS, 0);
    }
}

static bool stop_waiting(void *data, const char *host, const char *ns, void *hold)
{
    (void)host, (void)ns;
    turns_leave(data, &((struct hold *)hold)->turn);
    return true;
}

static void ask_next(struct resolver *resolver)
{
    struct tenant *tenant;
    struct turn *turn;

    while ((turn = turns_next(resolver->turns, &tenant))) {
        struct entry *entry = ((struct hold *)((char *)turn - offsetof(struct hold, turn)))->entry;

        kube_store_each(resolver->holds, entry->host, stop_waiting, resolver->turns);
        ask(entry, tenant);
    }
}

/* In its namespace's line; mostly there is none, and it is asked for at once. Without memory for
 * that another namespace's turn may come, or the next time. */
static bool wait_for_turn(void *data, const char *host, const char *ns, void *value)
{
    struct resolver *resolver = data;
    struct hold *hold = value;

    (void)host;
    turns_wait(resolver->turns, ns, &hold->turn);
    ask_next(resolver);
    return !hold->entry->asking;
}

static void on_due(uv_timer_t *timer)
{
    struct entry *entry = timer->data;

    if (entry->asking) /* since long: its answer sets the timer */
        return;
    uv_timer_start(timer, on_due, AGAIN_MS, 0); /* if nothing comes of this */
    kube_store_each(entry->resolver->holds, entry->host, wait_for_turn, entry->resolver);
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
    struct entry *entry = *(struct entry **)value;

    entry->gone = true;
    if (entry->asking)
        uv_cancel((uv_req_t *)&entry->request);
    uv_close((uv_handle_t *)&entry->again, on_timer_closed);
}

struct resolver *resolver_new(uv_loop_t *loop, resolver_changed_fn *changed, void *data)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);

    if (!resolver)
        return NULL;
    setenv("UV_THREADPOOL_SIZE", THREADS, 1);
    *resolver = (struct resolver){.loop = loop,
                                  .entries = kube_store_new(release),
                                  .holds = kube_store_new(NULL),
                                  .turns = turns_new(LOOK_UPS, LOOK_UPS_EACH),
                                  .changed = changed,
                                  .data = data};
    if (resolver->entries && resolver->holds && resolver->turns)
        return resolver;
    resolver_free(resolver);
    return NULL;
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    kube_store_free(resolver->entries);
    kube_store_free(resolver->holds);
    resolver->over = true;
    free_resolver_if_over(resolver);
}

static struct entry *find(const struct resolver *resolver, const char *host)
{
    struct entry *const *found = kube_store_get(resolver->entries, "", host);

    return found ? *found : NULL;
}

static struct entry *entry_of(struct resolver *resolver, const char *host)
{
    struct entry *entry = find(resolver, host);
    size_t size = strlen(host) + 1;

    if (entry)
        return entry;
    entry = calloc(1, sizeof *entry + size);
    if (!entry)
        return NULL;
    entry->resolver = resolver;
    entry->since = uv_now(resolver->loop);
    memcpy(entry->host, host, size);
    uv_timer_init(resolver->loop, &entry->again);
    entry->again.data = entry->request.data = entry;
    return kube_store_put(resolver->entries, "", host, &entry, sizeof entry) ? entry : NULL;
}

static void drop_if_unheld(struct entry *entry)
{
    if (!entry->holds)
        kube_store_remove(entry->resolver->entries, "", entry->host);
}

static struct hold *hold_of(struct resolver *resolver, const char *ns, const char *host)
{
    struct hold *hold = kube_store_make(resolver->holds, host, ns, sizeof *hold);

    if (!hold || hold->entry)
        return hold;
    hold->entry = entry_of(resolver, host);
    if (hold->entry) {
        hold->entry->holds++;
        return hold;
    }
    kube_store_remove(resolver->holds, host, ns);
    return NULL;
}

/* A host that is waited for by now waits in this namespace's line, too. */
int resolver_hold(struct resolver *resolver, const char *ns, const char *host)
{
    struct hold *hold = hold_of(resolver, ns, host);

    if (!hold)
        return -ENOMEM;
    hold->count++;
    if (hold->count == 1 && !hold->entry->asking && !hold->entry->answered)
        wait_for_turn(resolver, host, ns, hold);
    return 0;
}

void resolver_drop(struct resolver *resolver, const char *ns, const char *host)
{
    struct hold *hold = kube_store_get(resolver->holds, host, ns);
    struct entry *entry;

    if (!hold || --hold->count > 0)
        return;
    entry = hold->entry;
    turns_leave(resolver->turns, &hold->turn);
    kube_store_remove(resolver->holds, host, ns);
    entry->holds--;
    drop_if_unheld(entry);
}

struct resolution resolver_get(const struct resolver *resolver, const char *host)
{
    static const char *const none[] = {NULL};
    struct entry *entry = find(resolver, host);

    if (!entry)
        return (struct resolution){.ips = none, .error = "memory is short"};
    return (struct resolution){.pending = !entry->answered,
                               .since = entry->since,
                               .ips = entry->ips ? entry->ips : none,
                               .error = entry->error};
}
