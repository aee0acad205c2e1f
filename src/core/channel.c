/* future_wait.c */
