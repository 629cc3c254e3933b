/* stream.h - records on a pipe: header, documents | batches | steps, end or abort (ft-stream(5)).
 *
 *   header   {"ft": 1, "kind": "documents", "history": [["ft-ingest", ...], ...], "seed": 0, ...}
 *   record   a document, a batch or a step: one msgpack map each
 *   end      {"end": records, "crc32c": checksum of all bytes before this record}
 *   abort    {"abort": message, "tool": name, "status": code}
 *
 * The keys "ft", "end" and "abort" are reserved: no document, batch or step has them. An entry of the history is
 * [tool, version, argument...].
 *
 * Reading: ft_reader_open, look at ->header, ft_reader_next until it gives 0. Every length is checked before it is believed,
 * end of file without an end record is an error, an abort record is an error with the message of the tool that failed.
 * Writing: ft_writer_open, ft_writer_header, records, ft_writer_end. Records are written with msgpack-c's packer:
 *
 *     msgpack_packer *pk = ft_writer_begin(w);  msgpack_pack_map(pk, 2); ...  ft_writer_commit(w);
 */
#ifndef FT_STREAM_STREAM_H
#define FT_STREAM_STREAM_H

#include "base/memory.h"

#include <msgpack.h>
#include <string.h>

enum ft_kind { FT_DOCUMENTS, FT_BATCHES, FT_STEPS };
const char *ft_kind_name(enum ft_kind kind);

/* Limits on what strangers send. Checked while reading, before anything is allocated. */
enum {
    FT_LIMIT_DEPTH = 32,
    FT_LIMIT_STRING = 64 << 20,
    FT_LIMIT_BLOB = 256 << 20,
    FT_LIMIT_ITEMS = 1 << 24,          /* entries of all maps and arrays of a record */
    FT_LIMIT_RECORD = 1 << 30,
};

struct ft_header {
    enum ft_kind kind;
    uint64_t seed;
    struct ft_string history;          /* msgpack bytes of the array, or empty */
    /* batches */
    uint64_t steps, epochs;            /* batches in all, 0 = unknown; passes over the data */
    uint64_t rows;                     /* rows a batch ("batch") */
    uint64_t classes;                  /* labels seen, 0 where there are none */
    struct ft_string sets;             /* names of the data sets, a blank between, where there are several; or empty */
    struct ft_string fingerprint;      /* of the data: 32 hex digits, or empty */
    /* embedded streams */
    struct ft_string model;            /* checksum of the model that made the embeddings: 8 hex digits, or empty */
    struct ft_string prompt;           /* what was put before the texts, or empty; where it differs by role a line "ROLE=TEXT" each */
    uint64_t dim;                      /* 0 = no embeddings */
    struct ft_string teacher, guide;   /* checksums of second models whose embeddings the batches have, or empty */
    /* steps */
    struct ft_string run;              /* the run's directory */
    const msgpack_object *object;      /* all of it as read, or NULL; fields not named above are written on untouched */
};

struct ft_reader;

/* `path` NULL or "-" is standard input (refused when it is a terminal). Reads the header. The reader's memory holds until close. */
struct ft_reader *ft_reader_open(const char *path);
struct ft_string ft_reader_header_bytes(const struct ft_reader *reader);   /* the header record's msgpack */
const struct ft_header *ft_reader_header(const struct ft_reader *reader);
const char *ft_reader_name(const struct ft_reader *reader);          /* path, or "standard input" */

/* Fail unless the stream is of this kind: "standard input: expected batches, got documents: add ft-sample before". */
int ft_reader_expect(const struct ft_reader *reader, enum ft_kind kind);

/* Readers of `count` streams of one kind, each at `paths`; NULL is standard input alone. -1 leaves those that were opened, for the caller to close, and NULL. */
int ft_readers_open(struct ft_reader **readers, char **paths, size_t count, enum ft_kind kind);

/* While waiting for input, end quietly when nobody reads `output` any more (POLLERR): the process dies of SIGPIPE
 * as a writing tool would. A reader opened after a writer on standard output watches that one without being told, header included. */
void ft_reader_watch(struct ft_reader *reader, int output);

/* 1: a record, valid until the next call: `bytes` its msgpack, `object` the same decoded. 0: the stream ended well.
 * -1: error (FT_BAD); ft_reader_aborted then says whether an earlier tool failed rather than this stream. */
struct ft_record {
    struct ft_string bytes;
    msgpack_object object;
};
int ft_reader_next(struct ft_reader *reader, struct ft_record *record);
bool ft_reader_ready(struct ft_reader *reader);                      /* ft_reader_next would not wait: else flush what others wait for */
const char *ft_reader_aborted(const struct ft_reader *reader);       /* tool that failed, or NULL */
const char *ft_reader_abort_message(const struct ft_reader *reader); /* what it said, or NULL */
uint64_t ft_reader_count(const struct ft_reader *reader);            /* records read so far */
void ft_reader_close(struct ft_reader *reader);

struct ft_writer;

/* `path` NULL or "-" is standard output (refused when it is a terminal: add "| ft-cat"); a path appears only when complete. */
struct ft_writer *ft_writer_open(const char *path, bool force);
int ft_writer_fd(const struct ft_writer *writer);

/* Write the header; argc and argv are appended to header->history with the version. */
int ft_writer_header(struct ft_writer *writer, const struct ft_header *header, int argc, char **argv);

/* The header as it is, history included (for ft-cat: an exact round trip). */
int ft_writer_header_copy(struct ft_writer *writer, struct ft_string bytes);

msgpack_packer *ft_writer_begin(struct ft_writer *writer);           /* pack one record, then commit */
int ft_writer_commit(struct ft_writer *writer);                      /* flushes when the buffer is large */
int ft_writer_copy(struct ft_writer *writer, struct ft_string bytes);/* one whole record as it came */
int ft_writer_flush(struct ft_writer *writer);                       /* now: a stage downstream waits for it */
int ft_writer_end(struct ft_writer *writer);                         /* end record, flush, sync, rename; frees the writer either way */
uint64_t ft_writer_count(const struct ft_writer *writer);            /* records committed so far */

/* Best effort; frees the writer; one that is closed already is left alone. Nothing appears under the name of a file. After a reader
 * met an abort record, that tool and message are passed on instead of these. */
void ft_writer_abort(struct ft_writer *writer, const char *tool, const char *message, int status);

/* What ft_reader_next does with one record, for those who have it by another way (ft-cat's text). Decode a whole map that ft_msgpack_scan
 * has passed (no other: nothing is checked again); which of the four it is; take an abort record as the failure of an earlier tool
 * (always -1). */
enum ft_record_type { FT_RECORD, FT_HEADER, FT_END, FT_ABORT };
int ft_record_decode(msgpack_zone *zone, struct ft_string bytes, struct ft_record *record);
enum ft_record_type ft_record_type(const struct ft_record *record);
int ft_record_abort(const struct ft_record *record);

/* Lookups in decoded maps; missing or of another type gives NULL / false. Keys are str or bin. */
const msgpack_object *ft_map_get(const msgpack_object *map, const char *key);
struct ft_string ft_object_string(const msgpack_object *object);       /* of a str: never NULL data, as msgpack-c's empty ones are */
bool ft_map_string(const msgpack_object *map, const char *key, struct ft_string *value);
bool ft_map_unsigned(const msgpack_object *map, const char *key, uint64_t *value);
bool ft_map_number(const msgpack_object *map, const char *key, double *value);

void ft_pack_string(msgpack_packer *pk, struct ft_string text);      /* str */

/* str. Keys are mostly short and known when compiling: one piece for the packer instead of two, and no strlen. */
static inline void ft_pack_text(msgpack_packer *pk, const char *text)
{
    if (__builtin_constant_p(text && strlen(text) < 32) && text && strlen(text) < 32) {
        char packed[32] = {(char)(0xa0 | strlen(text))};

        memcpy(packed + 1, text, strlen(text));
        pk->callback(pk->data, packed, strlen(text) + 1);
    } else {
        ft_pack_string(pk, ft_string_of(text));
    }
}

/* Check one complete msgpack object at the start of `bytes` against the limits. >0: its size; 0: it goes on past `size`;
 * -1: FT_BAD. Never reads past `size`, never allocates. */
long ft_msgpack_scan(const void *bytes, size_t size);

#endif
