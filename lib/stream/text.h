/* text.h - records as lines of JSON, and back without loss.
 *
 * msgpack has more than JSON. What JSON lacks is an object with one key that begins with "$":
 *
 *     {"$bin": base64}                      bytes
 *     {"$str": base64}                      a string that is not UTF-8
 *     {"$ext": [type, base64]}              an extension
 *     {"$u64": "18446744073709551615"}      an integer past 2^63 - 1
 *     {"$f32": 0.1}                         a 32-bit float; not finite: {"$f32": "7fc00000"}, its bits
 *     {"$f64": "7ff0000000000000"}          a 64-bit float that is not finite, its bits
 *     {"$map": [[key, value], ...]}         a map whose keys are not all different strings, or begin with "$"
 *     {"$tensor": "<f4", "shape": [2, 384], "data": base64}
 *     {"$msgpack": base64}                  a whole record that no shortest msgpack would give back byte for byte
 *
 * That is the full text. The short one gives tensors as {"tensor": "<f4 [2,384]"}, which is refused when read, and 32-bit floats as
 * plain numbers. All other floats have a point or an exponent; integers have none. */
#ifndef FT_STREAM_TEXT_H
#define FT_STREAM_TEXT_H

#include "stream/stream.h"

/* Append the record as one line of JSON, newline included. */
int ft_text_write(struct ft_buffer *out, const struct ft_record *record, bool full);

/* One line of JSON as msgpack bytes appended to `out`; FT_BAD says what is wrong, without the line's number. */
int ft_text_read(struct ft_buffer *out, struct ft_string line);

#endif
