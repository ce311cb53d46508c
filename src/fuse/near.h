/*
 * Serving near who asks: on the core of the thread that sent the last requests.
 *
 * One that asks for small things sleeps while it is answered, and we sleep until it asks again.  On
 * one core that is two switches; between two cores it is two interrupts of a sleeping core besides,
 * which cost several times as much, most of all in a virtual machine.  The scheduler does not know
 * that the two never run at once, and spreads them.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

struct near {
	cpu_set_t all;	 /* where the process may run */
	int seen;	 /* the core of who asked, when last looked; -1: not known */
	int bound;	 /* the core the thread is bound to; -1: to none */
	unsigned count;	 /* requests since then */
	unsigned row;	 /* how often it was SEEN there before, in a row */
	unsigned wanted; /* how often it has to be, to be bound */
};

/* Of the calling thread; the same for near_request. */
void near_init(struct near *near, const cpu_set_t *all);

/*
 * A request of thread ASKER (0: of another PID namespace) was taken.  Now and then looks where that
 * runs, and binds this thread to the core when it was the same twice or more.  A BULKY one is not
 * small: who reads far ahead does run while we serve, so we go where there is room.
 */
void near_request(struct near *near, pid_t asker, bool bulky);
