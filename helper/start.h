#ifndef YAPC_START_H
#define YAPC_START_H

void run_init(int first_client) __attribute__((noreturn)); /* init.c */
void report_and_exit(int first_client)
    __attribute__((noreturn)); /* tells the client `fault`, as the answer to serial 0 */

#endif
