/* fuzz-stream.c - any bytes as a stream, as one record, and as a line of text: records or errors, never a crash; and each record
 * that is accepted comes back from its full text byte for byte. */
#include "base/error.h"
#include "mutate.h"
#include "stream/document.h"
#include "stream/text.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, ft_error());
    abort();
}

static void check_record(const struct ft_record *record)
{
    static struct ft_arena arena;
    struct ft_buffer text = {0}, again = {0};
    struct ft_document document;
    struct ft_batch batch;
    struct ft_wire_tensor tensor;
    uint64_t shape[8];

    ft_arena_reset(&arena);
    if (ft_document_read(&arena, &record->object, &document) == 0)
        ft_document_hash(&document);
    if (ft_batch_read(&arena, record, &batch) == 0)
        ft_batch_checksum((struct ft_hash){0, 0}, &batch);
    ft_wire_read(&record->object, &tensor);
    for (int rank = 0; rank < 3; rank++) {
        ft_wire_floats(&arena, &record->object, "embedding", rank, shape);
        ft_wire_integers(&arena, &record->object, "embedding", rank, shape);
    }
    if (ft_text_write(&text, record, false) < 0)
        fail("no short text");
    text.size = 0;
    if (ft_text_write(&text, record, true) < 0)
        fail("no text");
    if (ft_text_read(&again, (struct ft_string){text.data, text.size}) < 0)
        fail(text.data);
    if (again.size != record->bytes.size || memcmp(again.data, record->bytes.data, again.size) != 0) {
        ft_fail(FT_SYSTEM, "%.*s", (int)text.size, text.data);
        fail("the text gives other bytes");
    }
    ft_buffer_free(&text);
    ft_buffer_free(&again);
}

static int add_packed(void *data, const char *bytes, size_t size)
{
    return ft_buffer_add(data, bytes, size);
}

/* The objects are those that msgpack-c makes of the same bytes: packed again the same bytes. */
static void check_decoded(msgpack_zone *zone, const struct ft_record *record)
{
    struct ft_buffer packed[2] = {{0}, {0}};
    msgpack_object theirs;
    msgpack_packer pk;
    size_t offset = 0;

    if (msgpack_unpack(record->bytes.data, record->bytes.size, &offset, zone, &theirs) < 0 || offset != record->bytes.size)
        fail("decoded, but not by msgpack-c");
    for (int i = 0; i < 2; i++) {
        msgpack_packer_init(&pk, &packed[i], add_packed);
        msgpack_pack_object(&pk, i ? theirs : record->object);
    }
    if (packed[0].size != packed[1].size || memcmp(packed[0].data, packed[1].data, packed[0].size) != 0)
        fail("not what msgpack-c decodes");
    ft_buffer_free(&packed[0]);
    ft_buffer_free(&packed[1]);
}

static void check_bytes(const void *data, size_t size)
{
    struct ft_record record;
    msgpack_zone zone;
    long got = ft_msgpack_scan(data, size);

    if (got > (long)size)
        fail("scanned past the end");
    if (got <= 0)
        return;
    if (!msgpack_zone_init(&zone, 4096))
        fail("memory");
    if (ft_record_decode(&zone, (struct ft_string){data, (size_t)got}, &record) == 0)
        check_record(&record);
    else if (strcmp(ft_error(), "expected a map") != 0)
        fail("scanned but not decoded");
    check_decoded(&zone, &record);
    msgpack_zone_destroy(&zone);
}

static void check_stream(const uint8_t *data, size_t size)
{
    struct ft_reader *reader;
    struct ft_record record;
    char path[64];
    int fd = memfd_create("fuzz", 0);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if ((reader = ft_reader_open(path)))
        while (ft_reader_next(reader, &record) > 0)
            check_record(&record);
    ft_reader_close(reader);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ft_buffer packed = {0};

    check_stream(data, size);
    check_bytes(data, size);
    if (ft_text_read(&packed, (struct ft_string){(const char *)data, size}) == 0)
        check_bytes(packed.data, packed.size);
    ft_buffer_free(&packed);
    return 0;
}

#ifndef FT_LIBFUZZER
#define SEED(literal) {literal, sizeof literal - 1}
#define HEADER "\x82\xa2" "ft\x01\xa4kind\xa9" "documents"
#define TENSOR "\x85\xc4\x02nd\xc3\xc4\x04type\xa3<f4\xc4\x04kind\xc4\x00\xc4\x05shape\x92\x01\x02\xc4\x04" \
               "data\xc4\x08\x00\x00\x80\x3f\x00\x00\x00\x40"

static const struct ft_string seeds[] = {
    SEED(HEADER "\x82\xa2id\x01\xa4text\xa3one\x81\xa4text\xc0\x82\xa3" "end\x02\xa6" "crc32c\x00"),
    SEED(HEADER "\x83\xa5" "abort\xa1x\xa4tool\xa1y\xa6status\x03"),
    SEED("\x83\xa2id\xa1" "a\xa4tags\x83\xaf" "finetuner_label\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a\xa4role\xa6" "anchor\xaf"
         "finetuner_score\x01\xa6" "chunks\x92\x81\xa4text\xa1q\x81\xa3uri\xa1p"),
    SEED("\x81\xa9" "embedding" TENSOR),
    SEED(TENSOR),
    SEED("\x85\xa5" "batch\x01\xa5" "epoch\x01\xa4kind\xa5pairs\xa9" "documents\x91\x81\xa6" "chunks\x92\x81\xa4text\xa1q\x81\xa4text\xa1p\xa5roles"
         "\x85\xc4\x02nd\xc3\xc4\x04type\xa3|u1\xc4\x04kind\xc4\x00\xc4\x05shape\x91\x02\xc4\x04" "data\xc4\x02\x00\x01"),
    SEED("\x84\xa1" "a\xca\x3d\xcc\xcc\xcd\xa1" "b\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1" "c\xd6\x05zzzz\xa1" "d\xd9\x20" "0123456789abcdef0123456789abcdef"),
    SEED("{\"a\":[1,-1,1.5,{\"$u64\":\"18446744073709551615\"},{\"$f32\":0.1},{\"$f64\":\"fff0000000000000\"}],\"$x\":1}"),
    SEED("{\"t\":{\"$tensor\":\"<f4\",\"shape\":[2,1],\"data\":\"AACAPwAAAEA=\"},\"b\":{\"$bin\":\"AP8=\"},\"s\":{\"$str\":\"/w==\"}}"),
    SEED("{\"m\":{\"$map\":[[1,2],[{\"$bin\":\"bmQ=\"},null]]},\"e\":{\"$ext\":[-1,\"AAAA\"]},\"\\u0000\\ud83d\\ude00\":\"\\u0085\\\"\"}"),
    SEED("{\"$msgpack\":\"gaFhzQAB\"}"),
};
FUZZ_MAIN_BYTES(seeds, "\xff\xdd\xdf\xc1\xca\xcb\xc4\xd9\x81\x91\xa1\x80\x90\x7f\"$:,[]{}")
#endif
