/* lines.c - physical lines of text files: blocks in, checked lines out. */
#include "data/lines.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { BLOCK = 1 << 18 };

struct ft_lines {
    const char *name, *encoding;
    int fd, output;                /* output: -1, or what is watched while waiting */
    bool waits, end, begun, split_cr, dropping;
    iconv_t decoder;               /* (iconv_t)-1 for UTF-8 */
    size_t unit;                   /* bytes to skip past an undecodable place */
    char *raw;                     /* [BLOCK] not yet decoded */
    size_t raw_size;
    struct ft_buffer bytes;        /* decoded; [start, size) is not delivered yet */
    size_t start;
    size_t lf;                     /* next LF at or after start; bytes.size where none is known */
    size_t scanned;                /* no LF or CR in [start, scanned) except at lf */
    unsigned long number;
    char fault[200];
};

/* The bytes of a sequence that begins with a byte >= 0x80, 0 when it is none; limits of the second byte from Unicode's table 3-7. */
static size_t sequence_size(const unsigned char *p, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t size = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

    if (p[0] < 0xc2 || p[0] > 0xf4 || left < size)
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

typedef signed char bytes16 __attribute__((vector_size(16)));

enum { PLAIN = 32 };

/* PLAIN bytes of 1 to 127, as most are. */
static inline bool is_plain(const char *data)
{
    const bytes16 zero = {0};
    bytes16 a, b, good;
    uint64_t half[2];

    memcpy(&a, data, 16);
    memcpy(&b, data + 16, 16);
    good = (a > zero) & (b > zero);
    memcpy(half, &good, 16);
    return (half[0] & half[1]) == UINT64_MAX;
}

#ifdef __x86_64__
#include <tmmintrin.h>

/* What may be wrong with two bytes in a row. Each of three tables says of half a byte which of these it does not rule out. */
enum {
    SHORT = 1,           /* no continuation where one must be */
    LONG = 2,            /* a continuation after ASCII */
    OVERLONG_3 = 4, LARGE = 8, SURROGATE = 16, OVERLONG_2 = 32,
    OVERLONG_4 = 64, LARGER = 64,   /* told apart by the first byte's other half */
    TWO = 128,           /* two continuations: right where the byte two or three before wants them */
    ANY = SHORT | LONG | TWO,
};

/* J. Keiser, D. Lemire: Validating UTF-8 in less than one instruction per byte, 2021. Null bytes are refused as well. */
__attribute__((target("ssse3"))) static bool is_utf8(const char *data, size_t size)
{
    const __m128i first_high = _mm_setr_epi8(LONG, LONG, LONG, LONG, LONG, LONG, LONG, LONG, (char)TWO, (char)TWO, (char)TWO, (char)TWO,
                                             SHORT | OVERLONG_2, SHORT, SHORT | OVERLONG_3 | SURROGATE, SHORT | LARGE | LARGER | OVERLONG_4);
    const char large = (char)(ANY | LARGE | LARGER), other = (char)(LONG | OVERLONG_2 | TWO);
    const __m128i first_low = _mm_setr_epi8((char)(ANY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4), (char)(ANY | OVERLONG_2), (char)ANY, (char)ANY,
                                            (char)(ANY | LARGE), large, large, large, large, large, large, large, large,
                                            (char)(large | SURROGATE), large, large);
    const __m128i second_high = _mm_setr_epi8(SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, (char)(other | OVERLONG_3 | LARGER),
                                              (char)(other | OVERLONG_3 | LARGE), (char)(other | SURROGATE | LARGE),
                                              (char)(other | SURROGATE | LARGE), SHORT, SHORT, SHORT, SHORT);
    const __m128i low = _mm_set1_epi8(15), zero = _mm_setzero_si128();
    __m128i before = zero, bad = zero, block;
    bool last = false;

    for (size_t i = 0; !last; i += 16) {
        __m128i one, two, three, wrong, wanted;
        char rest[16];

        if ((last = size - i < 16)) {   /* with at least one letter behind, before which no sequence may end too early */
            memset(rest, 'a', sizeof rest);
            memcpy(rest, data + i, size - i);
        }
        block = _mm_loadu_si128((const __m128i *)(last ? rest : data + i));
        one = _mm_alignr_epi8(block, before, 15);
        two = _mm_alignr_epi8(block, before, 14);
        three = _mm_alignr_epi8(block, before, 13);
        wrong = _mm_and_si128(_mm_and_si128(_mm_shuffle_epi8(first_high, _mm_and_si128(_mm_srli_epi16(one, 4), low)),
                                            _mm_shuffle_epi8(first_low, _mm_and_si128(one, low))),
                              _mm_shuffle_epi8(second_high, _mm_and_si128(_mm_srli_epi16(block, 4), low)));
        wanted = _mm_or_si128(_mm_subs_epu8(two, _mm_set1_epi8(0xe0 - 0x80)), _mm_subs_epu8(three, _mm_set1_epi8(0xf0 - 0x80)));
        wrong = _mm_xor_si128(wrong, _mm_and_si128(wanted, _mm_set1_epi8((char)0x80)));
        bad = _mm_or_si128(bad, _mm_or_si128(wrong, _mm_cmpeq_epi8(block, zero)));
        before = block;
    }
    return _mm_movemask_epi8(_mm_cmpeq_epi8(bad, zero)) == 0xffff;
}
#endif

/* Is all of it text? false: unknown. */
static bool is_surely_utf8(const char *data, size_t size)
{
#ifdef __x86_64__
    return size >= 16 && __builtin_cpu_supports("ssse3") && is_utf8(data, size);
#else
    (void)data, (void)size;
    return false;
#endif
}

size_t ft_utf8_check(const char *data, size_t size)
{
    size_t i = 0, step;

    while (size - i >= PLAIN && is_plain(data + i))
        i += PLAIN;
    /* What is left of a line, together with what has been seen of it. */
    if ((size - i < PLAIN && size >= PLAIN && is_plain(data + size - PLAIN)) || is_surely_utf8(data + i, size - i))
        return size;
    for (; i < size; i += step) {
        step = (unsigned char)data[i] < 0x80 ? data[i] != '\0' : sequence_size((const unsigned char *)data + i, size - i);
        if (step == 0)
            return i;
    }
    return size;
}

static int open_decoder(struct ft_lines *lines, const char *encoding)
{
    lines->decoder = (iconv_t)-1;
    if (!encoding || strcasecmp(encoding, "utf-8") == 0 || strcasecmp(encoding, "utf8") == 0)
        return 0;
    lines->encoding = encoding;
    lines->decoder = iconv_open("UTF-8", encoding);
    if (lines->decoder == (iconv_t)-1)
        return ft_fail(FT_USAGE, "encoding '%s' is not known to iconv (iconv --list)", encoding);
    lines->unit = strcasestr(encoding, "32") || strcasestr(encoding, "ucs-4") ? 4
                : strcasestr(encoding, "16") || strcasestr(encoding, "ucs-2") ? 2 : 1;
    lines->raw = malloc(BLOCK);
    return lines->raw ? 0 : ft_fail(FT_SYSTEM, "out of memory");
}

struct ft_lines *ft_lines_open(const char *path, const char *encoding)
{
    struct ft_lines *lines = calloc(1, sizeof *lines);
    bool standard = strcmp(path, "-") == 0;

    if (!lines) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    lines->name = standard ? "standard input" : path;
    lines->output = -1;
    lines->number = 1;
    lines->fd = -1;
    if (open_decoder(lines, encoding) < 0) {
        ft_lines_close(lines);
        return NULL;
    }
    lines->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (lines->fd < 0)
        ft_fail_errno("%s", path);
    else if (standard && isatty(lines->fd))
        ft_fail(FT_USAGE, "standard input is a terminal: name a file, or pipe one in");
    else
        return lines;
    ft_lines_close(lines);
    return NULL;
}

void ft_lines_close(struct ft_lines *lines)
{
    if (!lines)
        return;
    if (lines->fd > STDIN_FILENO)
        close(lines->fd);
    if (lines->decoder != (iconv_t)-1)
        iconv_close(lines->decoder);
    free(lines->raw);
    ft_buffer_free(&lines->bytes);
    free(lines);
}

const char *ft_lines_name(const struct ft_lines *lines)
{
    return lines->name;
}

void ft_lines_watch(struct ft_lines *lines, int output)
{
    lines->output = output;
}

void ft_lines_split_cr(struct ft_lines *lines)
{
    lines->split_cr = true;
}

/* Until input is there; a reader of our output that has gone ends us as a write would. */
static void wait_for_input(struct ft_lines *lines)
{
    struct pollfd set[2] = {{.fd = lines->fd, .events = POLLIN}, {.fd = lines->output}};

    if (lines->output < 0)
        return;
    while (poll(set, 2, -1) < 0 && errno == EINTR)
        ;
    if (set[1].revents & POLLERR)
        raise(SIGPIPE);
}

static ssize_t read_block(struct ft_lines *lines, char *to, size_t size)
{
    ssize_t got;

    wait_for_input(lines);
    while ((got = read(lines->fd, to, size)) < 0 && errno == EINTR)
        ;
    if (got < 0)
        return ft_fail_errno("%s", lines->name);
    lines->end = got == 0;
    return got;
}

/* Decode what is in raw. What cannot be decoded becomes a byte 0xff, which the check for UTF-8 then finds on its line. */
static int decode(struct ft_lines *lines)
{
    char *in = lines->raw, *out;
    size_t left = lines->raw_size, room;
    bool stuck = false;

    while (left > 0 && !stuck) {
        if (ft_buffer_reserve(&lines->bytes, BLOCK) < 0)
            return -1;
        out = lines->bytes.data + lines->bytes.size;
        room = lines->bytes.capacity - lines->bytes.size;
        if (iconv(lines->decoder, &in, &left, &out, &room) == (size_t)-1 && errno != E2BIG) {
            stuck = errno == EINVAL && !lines->end;    /* a character goes on in the next block */
            if (!stuck) {
                size_t skip = left < lines->unit ? left : lines->unit;

                if (room == 0)
                    continue;
                *out++ = (char)0xff;
                in += skip;
                left -= skip;
            }
        }
        lines->bytes.size = (size_t)(out - lines->bytes.data);
    }
    memmove(lines->raw, in, left);
    lines->raw_size = left;
    return 0;
}

static void skip_mark(struct ft_lines *lines)
{
    if (lines->bytes.size >= 3 && memcmp(lines->bytes.data, "\xef\xbb\xbf", 3) == 0)
        lines->start = lines->scanned = 3;
    lines->begun = true;
}

/* What was delivered makes room for the next block. */
static void make_room(struct ft_lines *lines)
{
    struct ft_buffer *bytes = &lines->bytes;

    if (lines->start == 0)
        return;
    bytes->size -= lines->start;
    lines->lf -= lines->start;
    lines->scanned -= lines->start;
    memmove(bytes->data, bytes->data + lines->start, bytes->size);
    lines->start = 0;
}

static size_t find_lf(const struct ft_lines *lines, size_t from)
{
    const char *lf = from < lines->bytes.size ? memchr(lines->bytes.data + from, '\n', lines->bytes.size - from) : NULL;

    return lf ? (size_t)(lf - lines->bytes.data) : lines->bytes.size;
}

/* Another block behind what is there. Sets `end` when there is no more. */
static int fill(struct ft_lines *lines)
{
    struct ft_buffer *bytes = &lines->bytes;
    ssize_t got;
    size_t before;

    do {
        make_room(lines);
        before = bytes->size;
        if (lines->raw) {
            got = read_block(lines, lines->raw + lines->raw_size, BLOCK - lines->raw_size);
            lines->raw_size += got > 0 ? (size_t)got : 0;
            if (got < 0 || decode(lines) < 0)
                return -1;
        } else {
            if (ft_buffer_reserve(bytes, BLOCK) < 0 || (got = read_block(lines, bytes->data + before, BLOCK)) < 0)
                return -1;
            bytes->size += (size_t)got;
        }
        if (lines->lf == before)
            lines->lf = find_lf(lines, before);
        if (!lines->begun && (bytes->size >= 3 || lines->end))
            skip_mark(lines);
    } while (!lines->begun);
    return 0;
}

/* Where the line at start ends: its text's size and its terminator's, false when more bytes must come. */
static bool find_end(struct ft_lines *lines, size_t *size, size_t *terminator)
{
    const char *data = lines->bytes.data, *cr = NULL;
    size_t start = lines->start, limit = lines->bytes.size, stop = lines->lf;

    if (lines->split_cr && lines->scanned < stop)
        cr = memchr(data + lines->scanned, '\r', stop - lines->scanned);
    if (cr && (size_t)(cr - data) + 1 < stop) {
        *size = (size_t)(cr - data) - start;
        *terminator = 1;
        return true;
    }
    if (stop < limit) {
        bool crlf = stop > start && data[stop - 1] == '\r';

        *size = stop - start - crlf;
        *terminator = 1u + crlf;
        return true;
    }
    lines->scanned = cr ? (size_t)(cr - data) : limit;
    *size = limit - start;
    *terminator = 0;
    if (lines->end && *size > 0 && data[limit - 1] == '\r') {
        --*size;
        *terminator = 1;
    }
    return lines->end;
}

static void check_line(struct ft_lines *lines, struct ft_line *line)
{
    size_t bad;

    line->fault = NULL;
    if (lines->dropping || line->text.size > FT_LIMIT_LINE) {
        lines->dropping = false;
        line->text.size = line->whole.size = 0;
        line->fault = "a line of more than 16 MiB";
        return;
    }
    bad = ft_utf8_check(line->text.data, line->text.size);
    if (bad == line->text.size)
        return;
    if (line->text.data[bad] == '\0')
        snprintf(lines->fault, sizeof lines->fault, "byte %zu of the line is null, expected text", bad + 1);
    else if (lines->encoding)
        snprintf(lines->fault, sizeof lines->fault, "not valid %.60s at byte %zu of the line", lines->encoding, bad + 1);
    else
        snprintf(lines->fault, sizeof lines->fault, "byte %zu of the line (0x%02x) is not UTF-8: name the encoding with --encoding",
                 bad + 1, (unsigned char)line->text.data[bad]);
    line->fault = lines->fault;
}

int ft_lines_peek(struct ft_lines *lines, size_t size, struct ft_string *head)
{
    while (!lines->end && lines->bytes.size - lines->start < size)
        if (fill(lines) < 0)
            return -1;
    *head = (struct ft_string){lines->bytes.data + lines->start, lines->bytes.size - lines->start};
    return 0;
}

int ft_lines_block(struct ft_lines *lines, struct ft_string *block)
{
    while (lines->start == lines->bytes.size && !lines->end)
        if (fill(lines) < 0)
            return -1;
    *block = (struct ft_string){lines->bytes.data + lines->start, lines->bytes.size - lines->start};
    lines->start = lines->scanned = lines->lf = lines->bytes.size;
    return block->size > 0;
}

int ft_lines_next(struct ft_lines *lines, struct ft_line *line)
{
    size_t size, terminator;

    while (!find_end(lines, &size, &terminator)) {
        if (size > FT_LIMIT_LINE) {
            lines->dropping = true;
            lines->start = lines->scanned = lines->bytes.size - 1;   /* a CR there may be half of CRLF */
        }
        if (fill(lines) < 0)
            return -1;
    }
    if (size + terminator == 0 && !lines->dropping)
        return 0;
    line->text = (struct ft_string){lines->bytes.data + lines->start, size};
    line->whole = (struct ft_string){lines->bytes.data + lines->start, size + terminator};
    line->number = lines->number;
    check_line(lines, line);
    lines->start += size + terminator;
    lines->scanned = lines->start;
    /* A lone CR counts only where no LF is in sight. */
    if (terminator && (lines->start == lines->lf + 1 || lines->lf == lines->bytes.size))
        lines->number++;
    if (lines->lf < lines->start)
        lines->lf = find_lf(lines, lines->start);
    return 1;
}
