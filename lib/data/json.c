/* json.c - typed reading of a model's small JSON files. */
#include "data/json.h"
#include "base/error.h"
#include "base/file.h"

#include <math.h>
#include <string.h>

/* Larger than any tokenizer.json seen; configurations are a few kilobytes. */
#define LIMIT ((size_t)64 << 20)

json_t *ft_json_parse(const char *path, const char *text, size_t size)
{
    json_error_t error;
    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);

    /* transformers writes "no limit" as the integer 10^30. Numbers are then all read as doubles, which the getters take when whole. */
    if (!value && json_error_code(&error) == json_error_numeric_overflow)
        value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    if (!value)
        ft_fail(FT_BAD, "%s:%d: not JSON: %s", path, error.line, error.text);
    return value;
}

json_t *ft_json_read(const char *path)
{
    struct ft_arena arena = {0};
    size_t size;
    char *text = ft_file_read(&arena, path, LIMIT, &size);
    json_t *value = text ? ft_json_parse(path, text, size) : NULL;

    ft_arena_free(&arena);
    return value;
}

int ft_json_save(const char *path, const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2));
    int result;

    if (!text)
        return ft_fail(FT_SYSTEM, "%s: out of memory", path);
    result = ft_file_write(path, text, strlen(text));
    free(text);
    return result;
}

int ft_json_size(const json_t *object, const char *path, const char *key, size_t low, size_t high, bool optional, size_t *value)
{
    const json_t *found = json_object_get(object, key);
    double number;

    if (!found || json_is_null(found))
        return optional ? 0 : ft_fail(FT_BAD, "%s: no %s", path, key);
    number = json_number_value(found);
    if (!json_is_number(found) || number != floor(number))
        return ft_fail(FT_BAD, "%s: %s is not a whole number", path, key);
    if (!(number >= (double)low && number <= (double)high))
        return ft_fail(FT_BAD, "%s: %s is %.0f, expected %zu to %zu", path, key, number, low, high);
    *value = (size_t)number;
    return 0;
}

int ft_json_number(const json_t *object, const char *path, const char *key, double low, double high, double *value)
{
    const json_t *found = json_object_get(object, key);

    if (!found || json_is_null(found))
        return 0;
    if (!json_is_number(found))
        return ft_fail(FT_BAD, "%s: %s is not a number", path, key);
    if (!(json_number_value(found) >= low && json_number_value(found) <= high))
        return ft_fail(FT_BAD, "%s: %s is %g, expected %g to %g", path, key, json_number_value(found), low, high);
    *value = json_number_value(found);
    return 0;
}

int ft_json_bool(const json_t *object, const char *path, const char *key, bool *value)
{
    const json_t *found = json_object_get(object, key);

    if (!found || json_is_null(found))
        return 0;
    if (!json_is_boolean(found))
        return ft_fail(FT_BAD, "%s: %s is neither true nor false", path, key);
    *value = json_is_true(found);
    return 0;
}

const char *ft_json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

bool ft_path_inside(const char *path)
{
    const char *part = path;

    if (*path == '\0' || *path == '/')
        return false;
    while (*part) {
        size_t length = strcspn(part, "/");

        if (length == 2 && part[0] == '.' && part[1] == '.')
            return false;
        part += length;
        part += *part == '/';
    }
    return true;
}
