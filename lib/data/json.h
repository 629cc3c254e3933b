/* json.h - the small JSON files of a model directory, read with types and ranges checked.
 *
 * Every getter takes the path of the file it reads from, for its messages: "DIR/config.json: hidden_size is -1, expected 1 to 65536". */
#ifndef FT_DATA_JSON_H
#define FT_DATA_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The file's value, an object or array; NULL with FT_BAD (where in the file) or FT_SYSTEM. json_decref it. */
json_t *ft_json_read(const char *path);

/* The same of text in memory; `path` is for messages. */
json_t *ft_json_parse(const char *path, const char *text, size_t size);

/* Write sorted as the value is, indented by two, as a complete file. */
int ft_json_save(const char *path, const json_t *value);

/* A whole number in [low, high], which are below 2^53. Absent or null: 0 with *value untouched when `optional`, else FT_BAD. */
int ft_json_size(const json_t *object, const char *path, const char *key, size_t low, size_t high, bool optional, size_t *value);

/* A number in [low, high]; absent or null leaves *value alone. */
int ft_json_number(const json_t *object, const char *path, const char *key, double low, double high, double *value);

/* true or false; absent or null leaves *value alone. */
int ft_json_bool(const json_t *object, const char *path, const char *key, bool *value);

/* The string, or NULL where it is absent or something else. */
const char *ft_json_text(const json_t *object, const char *key);

/* Is `path` relative and free of "..", so that it stays inside the directory it is read in? Links are the owner's business. */
bool ft_path_inside(const char *path);

#endif
