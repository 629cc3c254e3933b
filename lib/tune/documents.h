/* documents.h - all documents of a file, whether it is a stream of them or a text file that ft-ingest would read; and documents put aside. */
#ifndef FT_TUNE_DOCUMENTS_H
#define FT_TUNE_DOCUMENTS_H

#include "data/corpus.h"
#include "stream/document.h"

/* What is done with each: 0, or -1 which ends the reading. */
typedef int ft_documents_take(void *argument, const struct ft_document *document, struct ft_string bytes);

/* A stream is one by its first byte; else the format, the header and what a row is are inferred, as ft-ingest does without options.
 * FT_BAD has the file, and where there is one the line, in front. */
int ft_documents_read(const char *path, ft_documents_take *take, void *argument);

/* Those of a corpus that are msgpack documents, in its order. */
int ft_documents_again(struct ft_corpus *corpus, ft_documents_take *take, void *argument);

#endif
