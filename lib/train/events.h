/* events.h - an event file as TensorBoard reads it: scalars by step.
 *
 * The file is TFRecords (tensorflow/core/lib/io/record_writer.h): length (8 bytes, little-endian), masked CRC-32C of those, the record, masked
 * CRC-32C of it; masked is (crc rotated right by 15) + 0xa282ead8. A record is a protocol buffer, tensorflow/core/util/event.proto:
 * Event {double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5}, Summary {repeated Value value = 1},
 * Value {string tag = 1; float simple_value = 2}. The first one has the file_version "brain.Event:2". */
#ifndef FT_TRAIN_EVENTS_H
#define FT_TRAIN_EVENTS_H

#include <stddef.h>

#define FT_EVENTS_FILE "events.out.tfevents.1.ft"    /* TensorBoard looks for "tfevents" in names */

struct ft_events;

/* A new file. */
struct ft_events *ft_events_open(const char *path);
void ft_events_close(struct ft_events *events);        /* NULL is fine */

/* A line of log.jsonl as an event: its numbers are scalars of the same names, but for the counts and times among them. */
int ft_events_add(struct ft_events *events, const char *line, size_t size);

#endif
