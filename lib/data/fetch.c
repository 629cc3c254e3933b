/* fetch.c - bytes from the web. */
#include "data/fetch.h"
#include "base/error.h"

#ifdef FT_CURL
#define CURL_DISABLE_TYPECHECK
#define CURL_DISABLE_DEPRECATION     /* CURLOPT_PROTOCOLS: what took its place is younger than the distributions that we build on */
#include <curl/curl.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo

static struct {
    CURLcode (*global_init)(long);
    CURL *(*init)(void);
    CURLcode (*setopt)(CURL *, CURLoption, ...);
    CURLcode (*perform)(CURL *);
    CURLcode (*getinfo)(CURL *, CURLINFO, ...);
    const char *(*strerror)(CURLcode);
    void (*cleanup)(CURL *);
} curl;

static bool load(void)
{
    static const struct {
        void *place;
        const char *name;
    } wanted[] = {
        {&curl.global_init, "curl_global_init"}, {&curl.init, "curl_easy_init"}, {&curl.setopt, "curl_easy_setopt"},
        {&curl.perform, "curl_easy_perform"}, {&curl.getinfo, "curl_easy_getinfo"}, {&curl.strerror, "curl_easy_strerror"},
        {&curl.cleanup, "curl_easy_cleanup"},
    };
    void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!handle || !(*(void **)wanted[i].place = dlsym(handle, wanted[i].name)))
            return false;
    return curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

int ft_fetch_begin(void)
{
    return curl.init || load() ? 0 : ft_fail(FT_USAGE, "--fetch: libcurl.so.4 is not here, or too old: install libcurl4");
}

void ft_fetch_end(struct ft_fetcher *fetcher)
{
    if (fetcher->curl)
        curl.cleanup(fetcher->curl);
    fetcher->curl = NULL;
}

static size_t take(char *data, size_t size, size_t count, void *argument)
{
    struct ft_buffer *bytes = argument;

    (void)size;                    /* 1 */
    if (bytes->size + count > FT_FETCH_MOST) {
        ft_fail(FT_BAD, "more than %d bytes", FT_FETCH_MOST);
        return 0;
    }
    return ft_buffer_add(bytes, data, count) < 0 ? 0 : count;
}

static CURL *open_curl(void)
{
    CURL *c = curl.init();

    if (!c)
        return NULL;
    curl.setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl.setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    curl.setopt(c, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    curl.setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl.setopt(c, CURLOPT_MAXREDIRS, 5L);
    curl.setopt(c, CURLOPT_FAILONERROR, 1L);
    curl.setopt(c, CURLOPT_CONNECTTIMEOUT, 10L);
    curl.setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl.setopt(c, CURLOPT_LOW_SPEED_TIME, 30L);
    curl.setopt(c, CURLOPT_TIMEOUT, 120L);
    curl.setopt(c, CURLOPT_USERAGENT, "ft-ingest");
    curl.setopt(c, CURLOPT_WRITEFUNCTION, take);
    return c;
}

/* libcurl's TLS may write to a connection that is gone. That must not end the process as a reader of its output that is gone does. */
static CURLcode perform(CURL *c)
{
    const struct timespec now = {0, 0};
    sigset_t pipe, before, pending;
    CURLcode code;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    code = curl.perform(c);
    if (sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

int ft_fetch(struct ft_fetcher *fetcher, const char *address, struct ft_buffer *bytes)
{
    CURLcode code;
    long status = 0;

    if (!fetcher->curl && !(fetcher->curl = open_curl()))
        return ft_fail(FT_SYSTEM, "out of memory");
    curl.setopt(fetcher->curl, CURLOPT_URL, address);
    curl.setopt(fetcher->curl, CURLOPT_WRITEDATA, bytes);
    code = perform(fetcher->curl);
    if (code == CURLE_OK)
        return 0;
    curl.getinfo(fetcher->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_HTTP_RETURNED_ERROR)
        return ft_fail(FT_BAD, "the server answers %ld", status);
    if (code == CURLE_WRITE_ERROR)
        return -1;                 /* as take says */
    return ft_fail(FT_BAD, "%s", curl.strerror(code));
}
#else
int ft_fetch_begin(void)
{
    return ft_fail(FT_USAGE, "--fetch: this ft was built without libcurl (libcurl4-openssl-dev)");
}

void ft_fetch_end(struct ft_fetcher *fetcher)
{
    fetcher->curl = NULL;
}

int ft_fetch(struct ft_fetcher *fetcher, const char *address, struct ft_buffer *bytes)
{
    (void)fetcher, (void)address, (void)bytes;
    return ft_fetch_begin();
}
#endif
