#include "kept.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "api/weight.h"
#include "base/cleanup.h"
#include "ids.h"
#include "kube/object.h"

#define TEXT_MAX                                                                                   \
    (8u << 20) /* etcd takes 1.5 MiB; escapes may take more room than what they stand for */
#define TEXT_AT_FIRST 4096

/* ---- Packing ------------------------------------------------------------------------------ */

/* Raw deflate (zlib.h). With a window no larger than dictionary and usual text together it takes
 * 24 KiB for the moment and 8 us; with zlib's own values six times that. Level 6 takes 14 us and
 * saves 2 bytes of 160. */
#define LEVEL 3
#define WINDOW_BITS 12
#define MEMORY_LEVEL 4

/* A GitGate as it usually is, in the API server's order. It only helps: what it doesn't know takes
 * more room. */
static const char usual[] =
    "{\"apiVersion\":\"gitgate.dev/v1alpha1\",\"kind\":\"GitGate\",\"metadata\":{"
    "\"generation\":1,\"name\":\"\",\"namespace\":\"\","
    "\"resourceVersion\":\"\",\"uid\":\"\"},\"spec\":{\"extraHosts\":{\"git.example.com\":"
    "\"10.0.0.1\"},\"podSelector\":{\"matchLabels\":{\"app\":\"agent\"}},"
    "\"gate\":{\"cache\":{\"sizeLimit\":\"2Gi\"},\"image\":\"\",\"replicas\":1},\"network\":{"
    "\"agentEgress\":{\"dns\":false},\"isolation\":\"Nftables\",\"policy\":\"Managed\"},"
    "\"placement\":\"Sidecar\",\"scan\":{\"maxPushSize\":\"512Mi\",\"timeout\":\"120s\"},"
    "\"upstreams\":[{\"fetch\":{\"policy\":\"Allow\"},\"name\":\"app\",\"push\":{"
    "\"allowDelete\":false,\"allowForce\":false,\"policy\":\"Allow\",\"refs\":["
    "\"refs/heads/*\",\"refs/tags/*\"]},\"http\":{\"secretRef\":{\"name\":\"token\"}},"
    "\"url\":\"https://github.com/team/app.git\"},\"ssh\":{\"knownHostKeys\":["
    "\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\"],\"secretRef\":{\"name\":\"key\"}},"
    "\"url\":\"ssh://git@git.example.com/team/app.git\"}]},"
    "\"status\":{\"conditions\":[{\"lastTransitionTime\":\"2026-01-01T00:00:00Z\",\"message\":"
    "\"pods can use this gate\",\"observedGeneration\":1,\"reason\":\"Ready\",\"status\":\"True\","
    "\"type\":\"Ready\"},{\"lastTransitionTime\":\"2026-01-01T00:00:00Z\",\"message\":"
    "\"every upstream has what it needs\",\"observedGeneration\":1,\"reason\":\"Resolved\","
    "\"status\":\"True\",\"type\":\"CredentialsResolved\"},{\"lastTransitionTime\":"
    "\"2026-01-01T00:00:00Z\",\"message\":\"all objects are as they should be\","
    "\"observedGeneration\":1,\"reason\":\"Rendered\",\"status\":\"True\",\"type\":\"Rendered\"},{"
    "\"lastTransitionTime\":\"2026-01-01T00:00:00Z\",\"message\":\"every upstream has an address\","
    "\"observedGeneration\":1,\"reason\":\"Resolved\",\"status\":\"True\",\"type\":"
    "\"UpstreamsResolved\"}],\"observedGeneration\":1,\"pods\":{\"gated\":0,\"missing\":0,"
    "\"outdated\":0},\"upstreams\":[{\"addresses\":[\"10.0.0.1\"],\"host\":\"git.example.com\","
    "\"name\":\"app\",\"port\":22}],\"upstreamsReady\":\"1/1\"}}";

#define USUAL_LEN (sizeof usual - 1)

static int pack_by(z_stream *stream, const struct buf *text, struct buf *to)
{
    size_t room = deflateBound(stream, text->len);
    char *at = buf_reserve(to, room);

    if (!at || deflateSetDictionary(stream, (const Bytef *)usual, USUAL_LEN) != Z_OK)
        return -ENOMEM;
    stream->next_in = (Bytef *)text->data;
    stream->avail_in = (uInt)text->len;
    stream->next_out = (Bytef *)at;
    stream->avail_out = (uInt)room;
    if (deflate(stream, Z_FINISH) != Z_STREAM_END)
        return -ENOMEM;
    to->len += stream->total_out;
    return 0;
}

static int pack(const struct buf *text, struct buf *to)
{
    z_stream stream = {0};
    int r;

    if (deflateInit2(&stream, LEVEL, Z_DEFLATED, -WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return -ENOMEM;
    r = pack_by(&stream, text, to);
    deflateEnd(&stream);
    return r;
}

static int unpack_by(z_stream *stream, const struct kept_gate *kept, char *text)
{
    if (inflateSetDictionary(stream, (const Bytef *)usual, USUAL_LEN) != Z_OK)
        return -ENOMEM;
    stream->next_in = (Bytef *)kept->packed;
    stream->avail_in = kept->size;
    stream->next_out = (Bytef *)text;
    stream->avail_out = kept->len;
    return inflate(stream, Z_FINISH) == Z_STREAM_END && !stream->avail_out ? 0 : -ENOMEM;
}

static int unpack(const struct kept_gate *kept, char *text)
{
    z_stream stream = {0};
    int r;

    if (inflateInit2(&stream, -WINDOW_BITS) != Z_OK)
        return -ENOMEM;
    r = unpack_by(&stream, kept, text);
    inflateEnd(&stream);
    return r;
}

/* ---- Keeping ------------------------------------------------------------------------------ */

static int add_packed(const struct node *object, struct kept_gate *gate, struct buf *kept)
{
    cleanup_buf struct buf text = BUF_INIT(TEXT_MAX), packed = BUF_INIT(TEXT_MAX);

    buf_reserve(&text, TEXT_AT_FIRST);
    object_write(&text, object, &kube_gitgates);
    if (buf_error(&text) == -E2BIG)
        return -EBADMSG;
    if (buf_error(&text) || pack(&text, &packed) < 0)
        return -ENOMEM;
    gate->len = (uint32_t)text.len;
    gate->size = (uint32_t)packed.len;
    buf_add(kept, gate, sizeof *gate);
    buf_add(kept, packed.data, packed.len);
    return buf_error(kept);
}

int kept_gate_add(const struct node *object, struct buf *kept)
{
    const struct node *selector = node_get(node_get(object, "spec"), "podSelector");
    const struct node *metadata = node_get(object, "metadata");
    struct kept_gate gate = {.version =
                                 version_parse(node_string(node_get(metadata, "resourceVersion"))),
                             .weight = gitgate_weight(object)};
    json_auto_t *tree = node_to_json(selector);
    int r;

    if (!gate.version)
        return -EBADMSG;
    gate.selector = tree;
    r = selector && !tree ? -ENOMEM : add_packed(object, &gate, kept);
    if (r == 0)
        json_incref(tree);
    return r;
}

void kept_gate_done(void *kept)
{
    json_decref(((struct kept_gate *)kept)->selector);
}

size_t kept_gate_weight(const void *kept)
{
    return ((const struct kept_gate *)kept)->weight;
}

json_t *kept_gate_object(const struct kept_gate *kept)
{
    cleanup_free char *text = malloc(kept->len);

    if (!text || unpack(kept, text) < 0)
        return NULL;
    return json_loadb(text, kept->len, 0, NULL);
}
