/* stop.h - SIGINT and SIGTERM as a question that loops may ask, for tools that have something to save. */
#ifndef FT_BASE_STOP_H
#define FT_BASE_STOP_H

/* From now on the two signals are only remembered; blocking calls return EINTR. A second signal of the same kind kills. */
void ft_stop_catch(void);

/* The signal that came, or 0. */
int ft_stop_signal(void);

/* 0, or -1 with ft_error set when a signal came: what a loop asks after each piece of work. */
int ft_stop_check(void);

/* Die of it, as a shell expects of an interrupted program. Does not return. */
void ft_stop_die(void) __attribute__((noreturn));

#endif
