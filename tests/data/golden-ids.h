/* golden-ids.h - lines of cases.jsonl and general.jsonl: texts in hex, and the ids they must get. */
#include "data/tokenizer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_ids(uint64_t hash, const struct ft_tokens *tokens)
{
    size_t i;

    for (i = 0; i < tokens->count; i++)
        hash = hash * 6364136223846793005u + (uint64_t)tokens->id[i] + 1;
    return hash;
}

static struct ft_buffer case_text(const json_t *parts)
{
    struct ft_buffer text = {0};
    size_t i;

    for (i = 0; i < json_array_size(parts); i++) {
        const char *hex = json_string_value(json_array_get(json_array_get(parts, i), 0));
        json_int_t times = json_integer_value(json_array_get(json_array_get(parts, i), 1));
        size_t begin = text.size, k, size = strlen(hex) / 2;

        for (k = 0; k < size; k++) {
            char digits[3] = {hex[2 * k], hex[2 * k + 1], 0}, byte = (char)strtol(digits, NULL, 16);

            ft_buffer_add(&text, &byte, 1);
        }
        while (--times > 0) {
            ft_buffer_reserve(&text, size);   /* before data is read: it may move */
            ft_buffer_add(&text, text.data + begin, size);
        }
    }
    return text;
}

static bool ids_equal(const struct ft_tokens *tokens, const json_t *want)
{
    size_t i, count = json_array_size(want);
    char hash[32];

    if (count == 2 && json_is_string(json_array_get(want, 1))) {
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)hash_ids(0, tokens));
        return tokens->count == (size_t)json_integer_value(json_array_get(want, 0)) &&
               strcmp(hash, json_string_value(json_array_get(want, 1))) == 0;
    }
    for (i = 0; i < count && i < tokens->count; i++)
        if (tokens->id[i] != json_integer_value(json_array_get(want, i)))
            return false;
    return count == tokens->count;
}

static bool case_has(const json_t *names, const char *name)
{
    size_t i;

    for (i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0)
            return true;
    return false;
}
