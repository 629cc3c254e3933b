/* test-document.c - tensors, documents and batches: what is read, and what is refused. */
#include "../tap.h"

#include "base/error.h"
#include "stream/document.h"

#include <stdlib.h>

static struct ft_arena arena;

struct packed {
    msgpack_sbuffer buffer;
    msgpack_packer pk;
    msgpack_zone zone;
    struct ft_record record;
};

static msgpack_packer *start(struct packed *p)
{
    msgpack_sbuffer_init(&p->buffer);
    msgpack_packer_init(&p->pk, &p->buffer, msgpack_sbuffer_write);
    msgpack_zone_init(&p->zone, 4096);
    return &p->pk;
}

static const msgpack_object *finish(struct packed *p)
{
    size_t offset = 0;

    p->record.bytes = (struct ft_string){p->buffer.data, p->buffer.size};
    if (msgpack_unpack(p->buffer.data, p->buffer.size, &offset, &p->zone, &p->record.object) < 0)
        abort();
    return &p->record.object;
}

static void drop(struct packed *p)
{
    msgpack_sbuffer_destroy(&p->buffer);
    msgpack_zone_destroy(&p->zone);
}

/* python3: msgpack.packb(numpy.array([[1, 2], [3, 4]], "<f4"), default=msgpack_numpy.encode) */
static const char numpy[] = "\x85\xc4\x02nd\xc3\xc4\x04type\xa3<f4\xc4\x04kind\xc4\x00\xc4\x05shape\x92\x02\x02\xc4\x04"
                            "data\xc4\x10\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40";

static void test_tensor(void)
{
    const float values[] = {1, 2, 3, 4};
    const uint64_t shape[] = {2, 2}, huge[] = {1u << 28, 1u << 28};
    const uint16_t half[] = {0x3c00, 0xc000, 0x0001, 0x7bff};
    const double odd[] = {0.5, 0.1};
    struct ft_wire_tensor tensor;
    struct packed p;
    uint64_t got[2];
    float *floats;
    int32_t *integers;

    ft_wire_write(start(&p), FT_WIRE_F4, 2, shape, values);
    ok(p.buffer.size == sizeof numpy - 1 && memcmp(p.buffer.data, numpy, p.buffer.size) == 0, "the bytes that msgpack-numpy writes");
    ok(ft_wire_read(finish(&p), &tensor) == 0 && tensor.rank == 2 && tensor.count == 4 && tensor.type == FT_WIRE_F4, "and back");
    drop(&p);

    msgpack_pack_map(start(&p), 6);
    ft_pack_text(&p.pk, "a"), ft_wire_write(&p.pk, FT_WIRE_F2, 1, (uint64_t[]){4}, half);
    ft_pack_text(&p.pk, "b"), ft_wire_write(&p.pk, FT_WIRE_F8, 1, (uint64_t[]){2}, odd);
    ft_pack_text(&p.pk, "c"), ft_wire_write(&p.pk, FT_WIRE_I4, 1, (uint64_t[]){2}, (int32_t[]){-1, 7});
    ft_pack_text(&p.pk, "d"), ft_wire_write(&p.pk, FT_WIRE_I8, 1, (uint64_t[]){2}, (int64_t[]){1, 1LL << 40});
    ft_pack_text(&p.pk, "e"), ft_wire_write(&p.pk, FT_WIRE_F4, 2, (uint64_t[]){0, 5}, NULL);
    ft_pack_text(&p.pk, "f"), msgpack_pack_map(&p.pk, 4);
    ft_pack_text(&p.pk, "nd"), msgpack_pack_true(&p.pk), ft_pack_text(&p.pk, "type"), ft_pack_text(&p.pk, "<f4");
    ft_pack_text(&p.pk, "shape"), msgpack_pack_array(&p.pk, 2), msgpack_pack_uint64(&p.pk, huge[0]), msgpack_pack_uint64(&p.pk, huge[1]);
    ft_pack_text(&p.pk, "data"), msgpack_pack_bin(&p.pk, 0);
    finish(&p);
    floats = ft_wire_floats(&arena, &p.record.object, "a", 1, got);
    ok(floats && floats[0] == 1 && floats[1] == -2 && floats[2] == 0x1p-24f && floats[3] == 65504, "halves to floats");
    ok(!ft_wire_floats(&arena, &p.record.object, "b", 1, got) && strstr(ft_error(), "0.1"), "inexact: %s", ft_error());
    integers = ft_wire_integers(&arena, &p.record.object, "c", 1, got);
    ok(integers && integers[0] == -1 && integers[1] == 7 && got[0] == 2, "integers");
    ok(!ft_wire_integers(&arena, &p.record.object, "d", 1, got), "too large: %s", ft_error());
    ok(ft_wire_floats(&arena, &p.record.object, "e", 2, got) && got[0] == 0 && got[1] == 5, "an empty tensor");
    ok(!ft_wire_floats(&arena, &p.record.object, "e", 1, got), "another rank: %s", ft_error());
    ok(!ft_wire_floats(&arena, &p.record.object, "f", 2, got), "a hostile shape: %s", ft_error());
    ok(!ft_wire_floats(&arena, &p.record.object, "g", 2, got) && strstr(ft_error(), "no g"), "absent: %s", ft_error());
    drop(&p);
    for (int i = 0; i < 3; i++) {
        static const char *const bad[] = {"<f4>", ">f4", "|O8"};

        msgpack_pack_map(start(&p), 4);
        ft_pack_text(&p.pk, "nd"), msgpack_pack_true(&p.pk), ft_pack_text(&p.pk, "type"), ft_pack_text(&p.pk, bad[i]);
        ft_pack_text(&p.pk, "shape"), msgpack_pack_array(&p.pk, 1), msgpack_pack_int(&p.pk, 1);
        ft_pack_text(&p.pk, "data"), msgpack_pack_bin(&p.pk, 4), msgpack_pack_bin_body(&p.pk, "1234", 4);
        ok(ft_wire_read(finish(&p), &tensor) < 0, "type %s: %s", bad[i], ft_error());
        drop(&p);
    }
}

static void pack_labelled(msgpack_packer *pk, const char *text, double label)
{
    msgpack_pack_map(pk, 3);
    ft_pack_text(pk, "id"), ft_pack_text(pk, "a:1");
    ft_pack_text(pk, "text"), ft_pack_text(pk, text);
    ft_pack_text(pk, "tags"), msgpack_pack_map(pk, 2);
    ft_pack_text(pk, "finetuner_label"), msgpack_pack_double(pk, label);
    ft_pack_text(pk, "role"), ft_pack_text(pk, "admin");
}

static void pack_chunks(msgpack_packer *pk, int count, const char *const *role, const char *const *text)
{
    msgpack_pack_map(pk, 2);
    ft_pack_text(pk, "id"), ft_pack_text(pk, "t:2");
    ft_pack_text(pk, "chunks"), msgpack_pack_array(pk, (size_t)count);
    for (int i = 0; i < count; i++) {
        msgpack_pack_map(pk, 2);
        ft_pack_text(pk, "text"), ft_pack_text(pk, text[i]);
        ft_pack_text(pk, "tags"), msgpack_pack_map(pk, 1);
        ft_pack_text(pk, "role"), ft_pack_text(pk, role[i]);
    }
}

static void test_document(void)
{
    static const char *const role[] = {"anchor", "positive", "negative"}, *const wrong[] = {"anchor", "other"};
    static const char *const text[] = {"q", "p", "n"}, *const fields[] = {"tags", "text", NULL};
    static const struct { double value; const char *text; } labels[] = {{1, "1"}, {-0.0, "0"}, {0.1, "0.1"}, {1e300, "1e+300"}, {2.5, "2.5"}};
    struct ft_document document;
    struct ft_hash a, b;
    struct packed p, q;

    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        pack_labelled(start(&p), "hello", labels[i].value);
        ok(ft_document_read(&arena, finish(&p), &document) == 0 && ft_string_is(document.label, labels[i].text) &&
               ft_string_is(document.content.text, "hello") && document.role == FT_NO_ROLE, "label %s", labels[i].text);
        drop(&p);
    }
    pack_chunks(start(&p), 3, role, text);
    ok(ft_document_read(&arena, finish(&p), &document) == 0 && document.chunk_count == 3 && document.chunks[2].role == FT_NEGATIVE &&
           ft_string_is(document.chunks[1].content.text, "p") && !document.content.text.data && !document.label.data, "a triplet");
    a = ft_document_hash(&document);
    b = ft_document_hash(&document.chunks[0]);
    ok(a.low != b.low && b.low == ft_hash_bytes("q", 1).low, "contents are hashed");
    drop(&p);
    pack_chunks(start(&p), 2, wrong, text);
    ok(ft_document_read(&arena, finish(&p), &document) < 0, "%s", ft_error());
    is_text(ft_error(), "document t:2: chunks[1]: tags: role: expected anchor, positive or negative", "the error says where");
    drop(&p);
    pack_labelled(start(&p), "hello", 4);
    ft_document_copy(start(&q), finish(&p), fields, 1);
    ft_pack_text(&q.pk, "new"), msgpack_pack_nil(&q.pk);
    ok(q.buffer.size == 1 + 3 + 4 + 4 + 1 && finish(&q)->via.map.size == 2, "a copy with fields left out and one more");
    drop(&p), drop(&q);
    msgpack_pack_map(start(&p), 1);
    ft_pack_text(&p.pk, "text"), msgpack_pack_int(&p.pk, 3);
    ok(ft_document_read(&arena, finish(&p), &document) < 0, "%s", ft_error());
    drop(&p);
}

/* A map with an id and, of the other fields, those that `content` has; `numbers` is [2]. */
static void pack_content(msgpack_packer *pk, const char *uri, const char *blob, const float *numbers)
{
    msgpack_pack_map(pk, 1 + (uri != NULL) + (blob != NULL) + (numbers != NULL));
    ft_pack_text(pk, "id"), ft_pack_text(pk, "i");
    if (uri)
        ft_pack_text(pk, "uri"), ft_pack_text(pk, uri);
    if (blob)
        ft_pack_text(pk, "blob"), msgpack_pack_bin(pk, strlen(blob)), msgpack_pack_bin_body(pk, blob, strlen(blob));
    if (numbers)
        ft_pack_text(pk, "tensor"), ft_wire_write(pk, FT_WIRE_F4, 1, (const uint64_t[]){2}, numbers);
}

static struct ft_hash hash_of(const char *uri, const char *blob, const float *numbers, struct ft_content *copy)
{
    struct ft_document document;
    struct ft_hash hash;
    struct packed p;

    pack_content(start(&p), uri, blob, numbers);
    if (ft_document_read(&arena, finish(&p), &document) < 0 || ft_content_copy(&arena, &document.content, copy) < 0)
        abort();
    hash = ft_document_hash(&document);
    drop(&p);
    return hash;
}

static bool same(struct ft_hash a, struct ft_hash b)
{
    return a.low == b.low && a.high == b.high;
}

/* Equal uris or equal bytes are one content, and a text that reads like them is another. */
static void test_content(void)
{
    const float v[2] = {1, 2}, w[2] = {1, 3};
    struct ft_wire_tensor tensor;
    struct ft_content c, d;
    struct ft_hash uri = hash_of("a.png", NULL, NULL, &c), blob = hash_of(NULL, "a.png", NULL, &d), numbers;

    ok(ft_string_is(c.uri, "a.png") && !c.text.data && !c.blob.data && !c.tensor && ft_string_is(d.blob, "a.png") && !d.uri.data,
       "a document's uri and blob");
    ok(ft_string_is(ft_content_name(&c), "a.png") && !ft_content_name(&d).size, "one of them is a name");
    ok(!same(uri, blob) && !same(uri, ft_hash_bytes("a.png", 5)) && !same(blob, ft_hash_bytes("a.png", 5)), "are no text and not each other");
    ok(same(uri, ft_content_hash(&c)) && same(blob, ft_content_hash(&d)) && same(hash_of(NULL, "else", NULL, &d), hash_of("a.png", "else", v, &d)),
       "a copy hashes alike, and bytes come first: they are what a model reads");
    ok(!same(uri, hash_of("b.png", NULL, NULL, &d)) && !same(blob, hash_of(NULL, "b.png", NULL, &d)), "others differ");
    numbers = hash_of(NULL, NULL, v, &c);
    ok(same(numbers, ft_content_hash(&c)) && !same(numbers, hash_of(NULL, NULL, w, &d)), "numbers are hashed");
    ok(c.tensor && ft_wire_read(c.tensor, &tensor) == 0 && tensor.count == 2 && memcmp(tensor.data, v, sizeof v) == 0, "and outlive the record");
    ok(ft_content_empty(&(struct ft_content){.text = {"", 0}}) && !ft_content_empty(&c), "an empty text is no content");
}

/* A batch of `rows` documents, each with `chunks` chunks (0: none). */
static int try_batch(struct packed *p, enum ft_batch_kind kind, size_t rows, int chunks, int32_t *label, uint8_t *role, float *score,
                     struct ft_batch *got)
{
    static const char *const roles[] = {"anchor", "positive", "negative"}, *const text[] = {"q", "p", "n"};
    struct ft_string documents[8];
    struct packed d[8];
    struct ft_batch batch = {.number = 5, .epoch = 1, .kind = kind, .rows = rows, .items = rows * (size_t)(chunks ? chunks : 1),
                             .label = label, .role = role, .score = kind == FT_BATCH_SCORED ? score : NULL,
                             .item_score = kind == FT_BATCH_TRIPLETS ? score : NULL};

    for (size_t i = 0; i < rows; i++) {
        if (chunks)
            pack_chunks(start(&d[i]), chunks, roles, text);
        else
            pack_labelled(start(&d[i]), i ? "two" : "one", (double)i);
        documents[i] = (struct ft_string){d[i].buffer.data, d[i].buffer.size};
    }
    ft_batch_write(start(p), &batch, documents, 1);
    ft_pack_text(&p->pk, "other"), msgpack_pack_nil(&p->pk);
    for (size_t i = 0; i < rows; i++)
        drop(&d[i]);
    finish(p);
    return ft_batch_read(&arena, &p->record, got);
}

static void test_batch(void)
{
    int32_t label[] = {0, 3, 0, 1}, minus[] = {0, -1, 0, 0};
    uint8_t pairs[] = {0, 1, 0, 1}, triplets[] = {0, 1, 2, 0, 1, 2}, bad[] = {0, 3, 0, 1}, two[] = {0, 0, 0, 1};
    float score[] = {.5f, -1}, not_finite[] = {NAN, 1}, each[] = {0, 2, -.5f, 0, 1, .25f}, nearly[] = {0, 2, -.5f, 0, INFINITY, .25f};
    struct ft_batch batch;
    struct ft_hash sum;
    struct packed p;
    const struct {
        const char *what;
        enum ft_batch_kind kind;
        size_t rows;
        int chunks;
        int32_t *label;
        uint8_t *role;
        float *score;
        bool good;
    } cases[] = {
        {"classes", FT_BATCH_CLASSES, 4, 0, label, NULL, NULL, true},
        {"classes without labels", FT_BATCH_CLASSES, 4, 0, NULL, NULL, NULL, false},
        {"classes with label -1", FT_BATCH_CLASSES, 4, 0, minus, NULL, NULL, false},
        {"random", FT_BATCH_RANDOM, 4, 0, NULL, NULL, NULL, true},
        {"random with label -1", FT_BATCH_RANDOM, 4, 0, minus, NULL, NULL, true},
        {"pairs", FT_BATCH_PAIRS, 2, 2, NULL, pairs, NULL, true},
        {"pairs with two anchors", FT_BATCH_PAIRS, 2, 2, NULL, two, NULL, false},
        {"a role of 3", FT_BATCH_PAIRS, 2, 2, NULL, bad, NULL, false},
        {"pairs with negatives", FT_BATCH_PAIRS, 2, 3, NULL, triplets, NULL, false},
        {"triplets", FT_BATCH_TRIPLETS, 2, 3, NULL, triplets, NULL, true},
        {"triplets without negatives", FT_BATCH_TRIPLETS, 2, 2, NULL, pairs, NULL, false},
        {"triplets with scores", FT_BATCH_TRIPLETS, 2, 3, NULL, triplets, each, true},
        {"a triplet's score that is no number", FT_BATCH_TRIPLETS, 2, 3, NULL, triplets, nearly, false},
        {"scored", FT_BATCH_SCORED, 2, 2, NULL, NULL, score, true},
        {"scored with three items", FT_BATCH_SCORED, 2, 3, NULL, NULL, score, false},
        {"a score that is no number", FT_BATCH_SCORED, 2, 2, NULL, NULL, not_finite, false},
        {"no documents", FT_BATCH_RANDOM, 0, 0, NULL, NULL, NULL, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = try_batch(&p, cases[i].kind, cases[i].rows, cases[i].chunks, cases[i].label, cases[i].role, cases[i].score, &batch);

        ok((rc == 0) == cases[i].good, "%s%s%s", cases[i].what, cases[i].good ? "" : ": ", cases[i].good ? "" : ft_error());
        drop(&p);
    }
    ok(try_batch(&p, FT_BATCH_PAIRS, 2, 2, NULL, pairs, NULL, &batch) == 0 && batch.number == 5 && batch.epoch == 1 && batch.rows == 2 &&
           batch.items == 4 && batch.row[1] == 0 && batch.row[2] == 1 && ft_string_is(batch.content[3].text, "p") && batch.role[3] == 1 &&
           !batch.label && !batch.score && batch.object, "items are the chunks, in order");
    sum = ft_batch_checksum((struct ft_hash){0, 0}, &batch);
    ok(sum.high == 0xed41046232d91d27 && sum.low == 0x4ad817960c89a34d, "the checksum by which runs of texts are resumed has not changed");
    batch.content[3] = (struct ft_content){.uri = FT_STRING("p")};
    ok(!same(sum, ft_batch_checksum((struct ft_hash){0, 0}, &batch)), "it sees uris");
    batch.content[3] = (struct ft_content){.blob = FT_STRING("p")};
    ok(!same(sum, ft_batch_checksum((struct ft_hash){0, 0}, &batch)), "and bytes");
    batch.content[3] = (struct ft_content){.text = FT_STRING("p")};
    batch.content[3].text = FT_STRING("P");
    ok(sum.low != ft_batch_checksum((struct ft_hash){0, 0}, &batch).low, "the checksum sees texts");
    batch.content[3].text = FT_STRING("p"), batch.role[3] = 2;
    ok(sum.low != ft_batch_checksum((struct ft_hash){0, 0}, &batch).low, "and roles");
    batch.role[3] = 1;
    ok(sum.low == ft_batch_checksum((struct ft_hash){0, 0}, &batch).low && sum.low != ft_batch_checksum(sum, &batch).low, "and what was before");
    drop(&p);
    ok(try_batch(&p, FT_BATCH_TRIPLETS, 2, 3, NULL, triplets, each, &batch) == 0 && !batch.score && batch.item_score &&
           memcmp(batch.item_score, each, sizeof each) == 0, "triplets have a score for each item");
    sum = ft_batch_checksum((struct ft_hash){0, 0}, &batch);
    batch.item_score[1] = 3;
    ok(sum.low != ft_batch_checksum((struct ft_hash){0, 0}, &batch).low, "and the checksum sees it");
    drop(&p);
}

int main(void)
{
    test_tensor();
    test_document();
    test_content();
    test_batch();
    ft_arena_free(&arena);
    return done();
}
