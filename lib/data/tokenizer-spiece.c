/* tokenizer-spiece.c - SigLIP's tokenizer from spiece.model: the pieces of a unigram model in SentencePiece's protocol buffer, and around them what transformers'
 * SiglipTokenizer does to a text, written down as a tokenizer.json would say it and read as that.
 * https://github.com/google/sentencepiece, src/sentencepiece_model.proto */
#include "data/tokenizer-general.h"
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"
#include "stream/base64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 28 };

/* Fields of ModelProto, SentencePiece, TrainerSpec, NormalizerSpec. */
enum { PIECES = 1, TRAINER = 2, NORMALIZER = 3, PIECE = 1, SCORE = 2, TYPE = 3, MODEL_TYPE = 3, CHARSMAP = 2, EXTRA_SPACES = 4 };
enum { UNKNOWN = 2, CONTROL = 3, UNIGRAM = 1 };                 /* values of TYPE and MODEL_TYPE */
enum { VARINT = 0, WIDE = 1, BYTES = 2, FIXED = 5 };   /* how a field is written */

struct field {
    uint64_t number, kind, value;                  /* value: VARINT, FIXED */
    struct ft_string bytes;
};

static bool read_varint(struct ft_string *in, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && in->size; shift += 7) {
        uint8_t byte = (uint8_t)*in->data;

        *value |= (uint64_t)(byte & 127) << shift;
        in->data++;
        in->size--;
        if (byte < 128)
            return true;
    }
    return false;
}

/* 1: the next field; 0: the end; -1: damaged. */
static int next_field(struct ft_string *in, struct field *f)
{
    uint64_t key, size;

    *f = (struct field){0};
    if (!in->size)
        return 0;
    if (!read_varint(in, &key))
        return -1;
    f->number = key >> 3;
    f->kind = key & 7;
    if (f->kind == VARINT)
        return read_varint(in, &f->value) ? 1 : -1;
    size = f->kind == WIDE ? 8 : 4;
    if (f->kind == BYTES ? !read_varint(in, &size) : f->kind != WIDE && f->kind != FIXED)
        return -1;
    if (size > in->size)
        return -1;
    f->bytes = (struct ft_string){in->data, (size_t)size};
    if (f->kind == FIXED)
        for (int i = 3; i >= 0; i--)
            f->value = f->value << 8 | (uint8_t)in->data[i];
    in->data += size;
    in->size -= (size_t)size;
    return 1;
}

/* What a file is turned into. */
struct spiece {
    struct ft_buffer pieces, charsmap;
    size_t count, unknown;           /* the unknown one's number; SIZE_MAX: none yet */
    uint64_t model;
};

static int damaged(void)
{
    return ft_fail(FT_BAD, "damaged, or no model of SentencePiece");
}

static int add(struct ft_buffer *out, const char *text)
{
    return ft_buffer_add(out, text, strlen(text));
}

static int add_text(struct ft_buffer *out, struct ft_string text)
{
    json_t *value = json_stringn(text.data ? text.data : "", text.size);
    char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    int result = quoted ? add(out, quoted) : ft_fail(FT_BAD, "a piece that is no UTF-8");

    free(quoted);
    json_decref(value);
    return result;
}

static int add_piece(struct spiece *s, struct ft_string in)
{
    struct ft_string piece = {"", 0};
    char score[40] = "0";
    uint64_t type = 1;
    struct field f;
    int more;

    while ((more = next_field(&in, &f)) > 0) {
        if (f.number == PIECE && f.kind == BYTES)
            piece = f.bytes;
        if (f.number == TYPE && f.kind == VARINT)
            type = f.value;
        if (f.number == SCORE && f.kind == FIXED) {
            uint32_t bits = (uint32_t)f.value;
            float number;

            memcpy(&number, &bits, sizeof number);
            if (!(number > -1e30f && number < 1e30f))
                return damaged();
            snprintf(score, sizeof score, "%.17g", (double)number);
        }
    }
    if (more < 0 || (type == UNKNOWN && s->unknown != SIZE_MAX))
        return damaged();
    if (type == UNKNOWN)
        s->unknown = s->count;
    if (type == UNKNOWN || type == CONTROL)
        snprintf(score, sizeof score, "%s", FT_UNIGRAM_NEVER);
    s->count++;
    if (add(&s->pieces, s->count > 1 ? ",[" : "[") < 0 || add_text(&s->pieces, piece) < 0 || add(&s->pieces, ",") < 0 || add(&s->pieces, score) < 0)
        return -1;
    return add(&s->pieces, "]");
}

static int read_normalizer(struct spiece *s, struct ft_string in)
{
    struct field f;
    int more;

    while ((more = next_field(&in, &f)) > 0) {
        if (f.number == CHARSMAP && f.kind == BYTES && f.bytes.size && ft_base64_write(&s->charsmap, f.bytes) < 0)
            return -1;
        if (f.number == EXTRA_SPACES && f.kind == VARINT && !f.value)
            return ft_fail(FT_BAD, "remove_extra_whitespaces is false: that is not supported");
    }
    return more < 0 ? damaged() : 0;
}

static int read_model(struct spiece *s, struct ft_string in)
{
    struct ft_string part;
    struct field f;
    int more, result = 0;

    while (result == 0 && (more = next_field(&in, &f)) > 0) {
        if (f.kind == BYTES && f.number == PIECES)
            result = add_piece(s, f.bytes);
        if (f.kind == BYTES && f.number == NORMALIZER)
            result = read_normalizer(s, f.bytes);
        for (part = f.bytes; f.kind == BYTES && f.number == TRAINER && result == 0 && part.size;) {
            struct field inner;

            if (next_field(&part, &inner) < 0)
                result = damaged();
            else if (inner.number == MODEL_TYPE && inner.kind == VARINT)
                s->model = inner.value;
        }
    }
    if (result < 0 || more < 0)
        return result < 0 ? -1 : damaged();
    if (s->model != UNIGRAM)
        return ft_fail(FT_BAD, "model_type is %lu, expected 1, a unigram model", (unsigned long)s->model);
    return s->count && s->unknown != SIZE_MAX ? 0 : damaged();
}

/* SiglipTokenizer: "\u2581" before the text, whose own become blanks; lower case as Python has it, with its last sigma; ASCII punctuation goes; then what
 * SentencePiece does, which keeps a blank behind that first mark and drops what stands at the end. */
static const char before[] =
    "{\"added_tokens\":[{\"id\":-1,\"content\":\"</s>\",\"lstrip\":true,\"rstrip\":true,\"special\":true},"
    "{\"id\":-1,\"content\":\"<unk>\",\"lstrip\":true,\"rstrip\":true,\"special\":true}],"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\u2581\"},\"content\":\" \"},{\"type\":\"Prepend\",\"prepend\":\"\u2581\",\"first\":true},"
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(?<=[\\\\p{Lu}\\\\p{Ll}\\\\p{Lt}])\u03a3(?![\\\\p{Mn}\\\\p{Cf}'.:\u2019]*[\\\\p{Lu}\\\\p{Ll}\\\\p{Lt}])\"},\"content\":\"\u03c2\"},"
    "{\"type\":\"Lowercase\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[!-/:-@\\\\[-`{-~]\"},\"content\":\"\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[\\\\s\\\\x1c-\\\\x1f]+\"},\"content\":\" \"},{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true},";
static const char between[] =
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[ \u2581]+$\"},\"content\":\"\"}]},"
    "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\u2581\",\"prepend_scheme\":\"never\",\"split\":false},\"model\":{\"type\":\"Unigram\",\"single\":true,\"unk_id\":";

static int write_all(struct ft_buffer *out, const struct spiece *s)
{
    char unknown[40];

    snprintf(unknown, sizeof unknown, "%zu,\"vocab\":[", s->unknown);
    if (add(out, before) < 0)
        return -1;
    if (s->charsmap.size && (add(out, "{\"type\":\"Precompiled\",\"longest\":true,\"precompiled_charsmap\":\"") < 0 ||
                             ft_buffer_add(out, s->charsmap.data, s->charsmap.size) < 0 || add(out, "\"},") < 0))
        return -1;
    if (add(out, between) < 0 || add(out, unknown) < 0 || ft_buffer_add(out, s->pieces.data, s->pieces.size) < 0)
        return -1;
    return add(out, "]}}");
}

static int frame(struct ft_tokenizer *tokenizer)
{
    int32_t *id = ft_arena_take(&tokenizer->arena, sizeof *id);

    if (!id)
        return -1;
    if ((*id = ft_vocabulary_find(&tokenizer->vocabulary, FT_STRING("</s>"))) < 0)
        return ft_fail(FT_BAD, "no piece </s>");
    tokenizer->before = tokenizer->after = id;
    tokenizer->after_count = 1;
    return 0;
}

bool ft_tokenizer_is_spiece(struct ft_arena *arena, const char *directory, bool other)
{
    const char *model = ft_arena_print(arena, "%s/spiece.model", directory), *path = ft_arena_print(arena, "%s/tokenizer_config.json", directory);
    json_t *config = model && path && ft_file_exists(model) && ft_file_exists(path) ? ft_json_read(path) : NULL;
    const char *class = ft_json_text(config, "tokenizer_class");
    bool is = class ? strcmp(class, "SiglipTokenizer") == 0 : model && !other && ft_file_exists(model);

    json_decref(config);
    return is;
}

int ft_tokenizer_read_spiece(struct ft_tokenizer *tokenizer, const char *directory)
{
    const char *path = ft_arena_print(&tokenizer->arena, "%s/spiece.model", directory);
    struct spiece s = {.unknown = SIZE_MAX, .model = UNIGRAM};
    struct ft_buffer text = {0};
    size_t size;
    char *whole, *bytes = path ? ft_file_read(&tokenizer->arena, path, FILE_LIMIT, &size) : NULL;
    int result = -1;

    if (!bytes)
        return -1;
    if (read_model(&s, (struct ft_string){bytes, size}) == 0 && write_all(&text, &s) == 0 &&
        (whole = (char *)ft_arena_text(&tokenizer->arena, (struct ft_string){text.data, text.size})))
        result = ft_tokenizer_read_text(tokenizer, whole, text.size) < 0 || frame(tokenizer) < 0 ? -1 : 0;
    ft_buffer_free(&s.pieces);
    ft_buffer_free(&s.charsmap);
    ft_buffer_free(&text);
    return result < 0 ? ft_error_prefix("%s: ", path) : 0;
}
