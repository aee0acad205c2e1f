/* nouns.h: what a command calls its items and their doings, in a text that is the same for all. */
#ifndef NOUNS_H
#define NOUNS_H

typedef struct job_nouns {
    const char *one;      /* "request" */
    const char *many;     /* "requests" */
    const char *started;  /* "sent": of a plan, none was */
    const char *received; /* "received": what became of the bytes that came */
    const char *server;   /* "server": what a rate is kept for each of; NULL: there is only one */
    const char *servers;
    const char *hand; /* "thread": each works on one item at a time; NULL: that is not so */
    const char *hands;
} job_nouns;

#endif
