#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "kube/object.h"
#include "kube/request.h"

size_t answer_header(char *line, size_t size, size_t n, void *data)
{
    static const char name[] = "retry-after:";
    struct kube_request *request = data;
    size_t len = size * n, at = sizeof name - 1;
    char value[16] = "";
    uint64_t seconds;

    if (len > at && strncasecmp(line, name, at) == 0) {
        while (at < len && line[at] == ' ')
            at++;
        while (len > at && strchr("\r\n ", line[len - 1]))
            len--;
        if (len - at < sizeof value) {
            memcpy(value, line + at, len - at);
            /* The other form, a date, is not sent by API servers. */
            if (parse_u64(value, UINT32_MAX, &seconds) == 0)
                request->response.retry_after = seconds * 1000;
        }
    }
    return size * n;
}

size_t answer_bytes(char *bytes, size_t size, size_t n, void *data)
{
    struct kube_request *request = data;
    size_t len = size * n;
    long status = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    if (request->stream && status >= 200 && status < 300) {
        if (request->stream(request->data, bytes, len, &request->stream_err) < 0)
            return 0;
        return len;
    }
    buf_add(&request->answer, bytes, len);
    if (buf_error(&request->answer)) {
        error_set(&request->stream_err, buf_error(&request->answer),
                  "the answer has more than %zu bytes", request->answer.max);
        return 0;
    }
    return len;
}

static int code_of_status(int status)
{
    switch (status) {
    case 400:
    case 422:
        return -EINVAL;
    case 401:
        return -EACCES;
    case 403:
        return -EPERM;
    case 404:
        return -ENOENT;
    case 409:
        return -EEXIST;
    case 410:
        return -ESTALE;
    case 429:
        return -EAGAIN;
    case 504:
        return -ETIMEDOUT;
    default:
        return -EIO;
    }
}

/* https://kubernetes.io/docs/reference/using-api/api-concepts/ doesn't say it, but the API server's
 * NamespaceLifecycle has given this cause since 1.11. */
static bool is_terminating(const json_t *status)
{
    json_t *cause;
    size_t i;

    json_array_foreach(json_object_get(json_object_get(status, "details"), "causes"), i, cause) {
        const char *reason = json_string_value(json_object_get(cause, "reason"));

        if (reason && strcmp(reason, "NamespaceTerminating") == 0)
            return true;
    }
    return false;
}

/* For a resource that it hasn't got the API server has no words of its own: a definition is
 * missing. */
static const char *unsaid(int status)
{
    return status == 404 ? "the API server knows no such resource" : "no reason given";
}

/* A refusal's own words (https://kubernetes.io/docs/reference/generated/kubernetes-api/, Status).
 */
static void read_status(struct kube_request *request)
{
    struct kube_response *response = &request->response;
    json_auto_t *status = NULL;
    const char *message, *reason;
    json_int_t seconds;

    object_read(request->answer.data, request->answer.len, &status, NULL);
    message = json_string_value(json_object_get(status, "message"));
    reason = json_string_value(json_object_get(status, "reason"));
    seconds = json_integer_value(
        json_object_get(json_object_get(status, "details"), "retryAfterSeconds"));
    response->terminating = is_terminating(status);
    if (reason)
        snprintf(response->reason, sizeof response->reason, "%s", reason);
    if (!response->retry_after && seconds > 0 && seconds < UINT32_MAX)
        response->retry_after = (uint64_t)seconds * 1000;
    error_set(&response->err, code_of_status(response->status), "%s: %s (HTTP %d)", request->what,
              message ? message : unsaid(response->status), response->status);
}

static int code_of_curl(CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return -ECONNREFUSED;
    case CURLE_PEER_FAILED_VERIFICATION:
        return -EACCES;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -ECONNRESET;
    }
}

static void describe_failure(struct kube_request *request, CURLcode code)
{
    struct kube_response *response = &request->response;

    response->body = buf_empty;
    if (request->stream_err.code) {
        response->err = request->stream_err;
        error_wrap(&response->err, request->stream_err.code, "%s", request->what);
        return;
    }
    error_set(&response->err, code_of_curl(code), "%s: %s", request->what,
              *request->curl_error ? request->curl_error : curl_easy_strerror(code));
}

void answer_read(struct kube_request *request, CURLcode code)
{
    struct kube_response *response = &request->response;
    long status = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;
    response->body = request->answer.data;
    response->len = request->answer.len;
    if (code != CURLE_OK)
        describe_failure(request, code);
    else if (status < 200 || status > 299)
        read_status(request);
    if (status == 401)
        client_expire_token(request->client);
}
